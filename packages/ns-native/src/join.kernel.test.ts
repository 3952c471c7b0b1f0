import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import {
  ALLOW_ALL,
  type Changes,
  collect,
  containerSpec,
  eventually,
  idMapping,
  isAlive,
  singleId,
} from './container.test.fixture.ts'
import { type JoinTarget, join } from './join.ts'
import { type LaunchOptions, launch } from './launch.ts'
import type { LaunchSpec, NamespaceType, ProcessSpec } from './launch-spec.ts'

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

const silent = { stdio: ['ignore', 'ignore', 'ignore'] } as const

async function startContainer(changes: Changes = {}, script = 'sleep 1000') {
  const container = await launch(containerSpec(['/bin/sh', '-c', script], changes), silent)
  onTestFinished(async () => {
    container.kill('SIGKILL')
    await container.wait()
  })
  return container
}

function program(script: string, changes: Partial<ProcessSpec> = {}): ProcessSpec {
  return { ...containerSpec(['/bin/sh', '-c', script]).process, ...changes }
}

async function outcome(
  target: JoinTarget,
  process: ProcessSpec,
  options: Partial<LaunchOptions> = {},
) {
  const child = await join(target, { process }, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
  const [stdout, stderr, status] = await Promise.all([
    collect(child.stdout),
    collect(child.stderr),
    child.wait(),
  ])
  return { stdout, stderr, ...status }
}

/** Field 22 of /proc/PID/stat. */
function startTimeOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19])
}

const NAMESPACES = ['user', 'mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup']

test.each([
  ['the usual mapping', idMapping],
  ['one id', singleId],
])('with %s a program joins all namespaces of a container', async (_, mapping) => {
  const container = await startContainer({ idMapping: mapping }, 'echo 1 > /tmp/made; sleep 1000')
  const links = NAMESPACES.map((name) => `/proc/self/ns/${name}`).join(' ')
  const { stdout, exitCode } = await outcome(
    container,
    program(
      `until test -e /tmp/made; do :; done; hostname; id -u; cat /proc/1/comm; readlink ${links}`,
    ),
  )
  expect(exitCode).toBe(0)
  const [hostname, uid, comm, ...namespaces] = stdout.trim().split('\n')
  expect([hostname, uid, comm]).toEqual(['box', '0', 'cromwell-init'])
  const [first = 0] = childrenOf(container.pid)
  expect(namespaces).toEqual(NAMESPACES.map((name) => readlinkSync(`/proc/${first}/ns/${name}`)))
  expect(namespaces).not.toContain(readlinkSync('/proc/self/ns/user'))
})

/** A container with these namespaces only, and so without what needs others. */
function sharing(namespaces: readonly NamespaceType[], hostname?: string): LaunchSpec {
  const { hostname: _, mounts, ...spec } = containerSpec(['sleep', '1000'], { namespaces })
  const possible = mounts.filter(({ type }) => {
    if (type === 'sysfs') return namespaces.includes('network')
    return type !== 'proc' || namespaces.includes('pid')
  })
  return { ...spec, mounts: possible, ...(hostname === undefined ? {} : { hostname }) }
}

test('namespaces that the container shares with its caller stay the caller’s', async () => {
  const container = await launch(sharing(['user', 'mount', 'pid', 'uts'], 'box'), silent)
  const { stdout } = await outcome(container, program('readlink /proc/self/ns/net; hostname'))
  expect(stdout).toBe(`${readlinkSync('/proc/self/ns/net')}\nbox\n`)
  container.kill('SIGKILL')
  await container.wait()
})

test('the exit status is the program’s, and the container goes on', async () => {
  const container = await startContainer()
  expect(await outcome(container, program('exit 3'))).toMatchObject({ exitCode: 3, signal: null })
  expect(await outcome(container, program('kill -USR1 $$'))).toMatchObject({ signal: 'SIGUSR1' })
  expect(isAlive(container.pid)).toBe(true)
})

test('kill reaches the joined program and nothing else', async () => {
  const container = await startContainer()
  const script = 'trap "exit 7" TERM; echo ready; while :; do sleep 0.02; done'
  const stdio = ['ignore', 'pipe', 'ignore'] as const
  const child = await join(container, { process: program(script) }, { stdio })
  await once(child.stdout ?? fail(), 'data')
  child.kill()
  expect(await child.wait()).toMatchObject({ exitCode: 7 })
  const other = await join(container, { process: program('sleep 1000') }, silent)
  other.kill('SIGKILL')
  expect(await other.wait()).toMatchObject({ signal: 'SIGKILL' })
  expect(isAlive(container.pid)).toBe(true)
})

function fail(): never {
  throw new Error('there is a pipe')
}

test.each([
  ['', ['user', 'mount', 'pid', 'network', 'ipc', 'uts', 'cgroup']],
  [' without a pid namespace', ['user', 'mount']],
] as const)('the end of a container%s is the end of what joined it', async (_, namespaces) => {
  const container = await launch(sharing(namespaces), silent)
  const child = await join(container, { process: program('exec sleep 1000') }, silent)
  container.kill('SIGKILL')
  await container.wait()
  expect(await child.wait()).toMatchObject({ signal: 'SIGKILL' })
})

test('a container can be joined from elsewhere by pid and start time, and only by both', async () => {
  const { pid } = await startContainer()
  const startTime = startTimeOf(pid)
  expect(await outcome({ pid, startTime }, program('hostname'))).toMatchObject({ stdout: 'box\n' })
  const later = join({ pid, startTime: startTime + 1 }, { process: program('true') }, silent)
  await expect(later).rejects.toMatchObject({ code: 'ERR_NS_ENDED' })
  const none = join({ pid, startTime: 0 }, { process: program('true') }, silent)
  await expect(none).rejects.toMatchObject({ code: 'ERR_NS_SPEC', pointer: '/startTime' })
})

test('joining what has ended says so', async () => {
  const container = await launch(containerSpec(['true']), silent)
  const { pid } = container
  await container.wait()
  for (const target of [container, { pid, startTime: 1 }]) {
    const joined = join(target, { process: program('true') }, silent)
    await expect(joined).rejects.toMatchObject({ code: 'ERR_NS_ENDED' })
  }
})

test('another user’s process cannot be joined', async (context) => {
  requires(context, 'plain-user', process.getuid?.() !== 0, 'root may')
  const target = { pid: 1, startTime: startTimeOf(1) }
  await expect(join(target, { process: program('true') }, silent)).rejects.toMatchObject({
    code: 'ERR_NS_SETUP',
    step: 'join',
    hint: expect.stringContaining('only root'),
  })
})

test('a program that is not there is told apart, and leaves nothing', async () => {
  const container = await startContainer()
  const before = childrenOf(process.pid)
  const joined = join(container, { process: program('', { args: ['/nope'] }) }, silent)
  await expect(joined).rejects.toMatchObject({ code: 'ERR_NS_EXEC', path: '/nope' })
  const nowhere = join(container, { process: program('true', { cwd: '/nope' }) }, silent)
  await expect(nowhere).rejects.toMatchObject({ code: 'ERR_NS_SETUP', step: 'cwd' })
  expect(childrenOf(process.pid)).toEqual(before)
})

test('ids, capabilities, filter and descriptors are those of its own spec', async () => {
  const container = await startContainer({ process: { capabilities: [], seccomp: ALLOW_ALL } })
  const script =
    'grep -E "^(Cap(Eff|Bnd|Inh|Amb)|NoNewPrivs|Seccomp):" /proc/self/status; ls /proc/self/fd; umask'
  const { stdout } = await outcome(
    container,
    program(script, { capabilities: ['CAP_CHOWN'], umask: 0o077 }),
  )
  expect(stdout.replaceAll('\t', ' ').trim().split('\n')).toEqual([
    'CapInh: 0000000000000000',
    'CapEff: 0000000000000001',
    'CapBnd: 0000000000000001',
    'CapAmb: 0000000000000000',
    'NoNewPrivs: 1',
    'Seccomp: 2',
    ...['0', '1', '2', '3'], // the last is ls’s own
    '0077',
  ])
})

test('a user of the container’s runs as that user', async (context) => {
  requires(context, 'subuid', idMapping.kind !== 'single', 'there is one id only')
  const container = await startContainer()
  const { stdout } = await outcome(
    container,
    program('id -u; id -g; id -G', { uid: 5, gid: 6, additionalGids: [7] }),
  )
  expect(stdout).toBe('5\n6\n6 7\n')
})

/** A filter that takes its time to be installed: BPF_LD | BPF_W | BPF_ABS, again and again. */
const LONG = Buffer.concat([
  Buffer.alloc(8 * 4000, Buffer.of(0x20, 0, 0, 0, 0, 0, 0, 0)),
  ALLOW_ALL,
])

test('CVE-2016-9962: what joins cannot be looked into from inside before it is the program', async () => {
  // Root inside looks at whatever comes, and as long as that is the helper, tries to see it.
  const watch =
    'while :; do for p in /proc/[0-9]*; do read -r c < $p/comm || continue; ' +
    '[ "$c" = cromwell-init ] || continue; [ $p = /proc/1 ] || echo tried; ' +
    'case $(readlink $p/exe; cat $p/maps) in *cromwell*) echo saw;; esac; done; done'
  const container = await launch(
    containerSpec(['/bin/bash', '-c', `echo ready; ${watch} 2>/dev/null`], {
      process: { capabilities: ['CAP_SYS_PTRACE', 'CAP_DAC_OVERRIDE'] },
    }),
    { stdio: ['ignore', 'pipe', 'ignore'] },
  )
  let said = ''
  container.stdout?.on('data', (chunk) => {
    said += chunk
  })
  await eventually(() => said.includes('ready'))
  const end = Date.now() + 50_000
  while (!said.includes('tried\n') && Date.now() < end) {
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        const child = await join(container, { process: program('true', { seccomp: LONG }) }, silent)
        await child.wait()
      }),
    )
  }
  container.kill('SIGKILL')
  await container.wait()
  expect(said).toContain('tried')
  expect(said).not.toContain('saw')
})

test('a joined program has a terminal of the container’s own', async () => {
  const container = await startContainer()
  const stdio = ['pipe', 'pipe', 'ignore'] as const
  const terminal = { columns: 91, rows: 33 }
  const script = 'tty; stty size; read line; stty size; echo "got $line"; exit 4'
  const child = await join(container, { process: program(script, { terminal }) }, { stdio })
  let said = ''
  child.stdout?.on('data', (chunk) => {
    said += chunk
  })
  await eventually(() => said.includes('33 91'))
  child.resize({ columns: 70, rows: 20 })
  child.stdin?.write('hello\r')
  expect(await child.wait()).toMatchObject({ exitCode: 4 })
  await eventually(() => said.includes('got hello'))
  expect(said).toMatch(/^\/dev\/pts\/\d+\r\n33 91\r\n/)
  expect(said).toContain('20 70')
})

test('abort ends the joined program, whether it has started or not', async () => {
  const container = await startContainer()
  const early = AbortSignal.abort()
  const none = join(container, { process: program('true') }, { ...silent, signal: early })
  await expect(none).rejects.toMatchObject({ code: 'ERR_NS_ABORTED' })
  const controller = new AbortController()
  const options = { ...silent, signal: controller.signal }
  const child = await join(container, { process: program('sleep 1000') }, options)
  controller.abort()
  expect(await child.wait()).toMatchObject({ signal: 'SIGKILL' })
})

test('the death of its monitor is the death of the joined program', async () => {
  const container = await startContainer()
  for (const uid of idMapping.kind === 'single' ? [0] : [0, 5]) {
    const process_ = program('sleep 1000', { args: ['sleep', '1000'], uid, gid: uid })
    const child = await join(container, { process: process_ }, silent)
    process.kill(child.monitorPid, 'SIGKILL')
    await expect(child.wait()).rejects.toMatchObject({ code: 'ERR_NS_MONITOR_LOST' })
    await eventually(() => !isAlive(child.pid))
  }
  expect(isAlive(container.pid)).toBe(true)
})

test('twenty at once join, and nothing of them is left', async () => {
  const container = await startContainer()
  const before = readdirSync('/proc/self/fd').length
  const all = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      outcome(container, program(`echo ${index}; exit ${index}`)),
    ),
  )
  expect(all.map(({ stdout, exitCode }) => [Number(stdout), exitCode])).toEqual(
    Array.from({ length: 20 }, (_, index) => [index, index]),
  )
  await eventually(() => readdirSync('/proc/self/fd').length <= before)
  expect(childrenOf(container.pid).length).toBe(1)
})

function childrenOf(pid: number): number[] {
  const path = `/proc/${pid}/task/${pid}/children`
  return readFileSync(path, 'latin1').trim().split(' ').filter(Boolean).map(Number)
}
