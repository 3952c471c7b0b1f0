import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import {
  cgroup,
  defaultSeccompProfile,
  type IdMappingPlan,
  idmap,
  type SeccompProfile,
} from '@cromwell/ns-native'
import { hostPrograms, requires } from '@cromwell/test-support'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { exampleConfig } from './example-config.test.fixture.ts'
import { removeOwnTree } from './removal.ts'
import { openRuntime, type Runtime } from './runtime.ts'
import { ROOT_EMULATION_ANNOTATION, type RuntimeConfig } from './runtime-spec.ts'

let directory: string
let runtime: Runtime
let idMapping: IdMappingPlan

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'cromwell-runtime-'))
  runtime = openRuntime({ root: join(directory, 'containers'), pidsDir: join(directory, 'pids') })
  const ids = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 }
  const ownMap = readFileSync('/proc/self/uid_map', 'utf8')
  idMapping = idmap.select({ ...ids, userName: 'nobody', subuid: '', subgid: '', ownMap })
  for (const { path, content, mode } of hostPrograms(['sh', 'cat', 'sleep', 'ls'])) {
    mkdirSync(join(directory, 'bundle', 'rootfs', path, '..'), { recursive: true })
    writeFileSync(join(directory, 'bundle', 'rootfs', path), content, { mode })
  }
})
afterAll(() => removeOwnTree(directory))

test('a bundle is run, has a state while it runs, and one after', async () => {
  const reservation = reserve('one', sh('cat /proc/sys/kernel/hostname; exec sleep 0.2'), {
    'org.example.a': 'b',
  })
  const container = await runtime.run(reservation, { idMapping, stdio: ['ignore', 'pipe', 'pipe'] })
  expect(await runtime.state('one')).toMatchObject({
    ociVersion: '1.0.2',
    id: 'one',
    status: 'running',
    pid: container.pid,
    bundle: join(directory, 'bundle'),
    annotations: { 'org.example.a': 'b' },
  })
  const [output, status] = await Promise.all([
    container.stdio.stdout === undefined ? '' : text(container.stdio.stdout),
    container.wait(),
  ])
  expect(output).toBe('box\n')
  expect(status).toMatchObject({ exitCode: 0, signal: null })
  const state = await runtime.state('one')
  expect(state).toMatchObject({ status: 'stopped', exitCode: 0 })
  expect(Date.parse(state.finishedAt ?? '')).toBeGreaterThanOrEqual(
    Date.parse(state.startedAt ?? ''),
  )
  expect(readdirSync(join(directory, 'pids'))).toEqual([])
  await runtime.delete('one')
})

test('a signal that ended it is in its state', async () => {
  const reservation = reserve('killed', ['sleep', '60'])
  const container = await runtime.run(reservation, { idMapping, stdio: ignored })
  await runtime.kill('killed', 'SIGTERM')
  expect(await container.wait()).toMatchObject({ exitCode: null, signal: 'SIGTERM' })
  expect(await runtime.state('killed')).toMatchObject({ status: 'stopped', signal: 'SIGTERM' })
  await runtime.delete('killed')
})

test('what cannot be started leaves nothing', async () => {
  const running = runtime.run(reserve('never', ['/no/such']), { idMapping, stdio: ignored })
  await expect(running).rejects.toMatchObject({ code: 'ERR_NS_EXEC' })
  const refused = runtime.run(
    reserve('refused', ['true'], {}, (config) => {
      config.mounts?.push({ destination: '/x', type: 'ext4' })
    }),
    { idMapping, stdio: ignored },
  )
  await expect(refused).rejects.toMatchObject({ code: 'ERR_RUNTIME_UNSUPPORTED' })
  expect(await runtime.list({ all: true })).toEqual([])
  expect(readdirSync(join(directory, 'containers'))).toEqual([])
})

test('limits, ranks and clocks of the config hold inside', async () => {
  const script =
    'ulimit -n; cat /proc/self/oom_score_adj /proc/uptime; cat /proc/sys/kernel/domainname'
  const reservation = reserve('limited', sh(script), {}, (config) => {
    config.domainname = 'example'
    config.process.rlimits = [{ type: 'RLIMIT_NOFILE', soft: 50, hard: 60 }]
    config.process.oomScoreAdj = 300
    config.process.scheduler = { policy: 'SCHED_OTHER', nice: 3 }
    config.linux?.namespaces?.push({ type: 'time' })
    if (config.linux) config.linux.timeOffsets = { boottime: { secs: 1e9 } }
  })
  const container = await runtime.run(reservation, { idMapping, stdio: ['ignore', 'pipe', 'pipe'] })
  const { stdout } = container.stdio
  const [files, score, uptime, domain] = (stdout === undefined ? '' : await text(stdout)).split(
    '\n',
  )
  await container.wait()
  await runtime.delete('limited')
  expect([files, score, domain]).toEqual(['50', '300', 'example'])
  expect(Number(uptime?.split(' ')[0])).toBeGreaterThan(1e9)
})

test('cgroupsPath names the group, or the launch fails: it is never ignored', async (context) => {
  const name = `named-${process.pid}`
  const run = (cgroupsPath: string) => {
    const reservation = reserve('grouped', ['sleep', '60'], {}, (config) => {
      config.linux = { ...config.linux, cgroupsPath }
    })
    return runtime.run(reservation, { idMapping, stdio: ignored })
  }
  await expect(run(`/none-${process.pid}/one`)).rejects.toMatchObject({
    code: 'ERR_NS_SPEC',
    pointer: '/cgroup/parent',
  })
  requires(context, 'cgroup', cgroup.detect().by !== undefined, 'no control group is this user’s')
  const container = await run(name)
  expect(readFileSync(`/proc/${container.pid}/cgroup`, 'utf8')).toMatch(`/${name}`)
  await runtime.kill('grouped', 'SIGKILL')
  await container.wait()
  await runtime.delete('grouped')
})

test('the resources of the config are limits', async () => {
  const script = 'for i in 1 2 3 4 5 6; do sleep 0.2 & done; wait; echo fine'
  const reservation = reserve('few', sh(script), {}, (config) => {
    if (config.linux) config.linux.resources = { pids: { limit: 3 }, memory: { limit: 1 << 26 } }
  })
  const container = await runtime.run(reservation, { idMapping, stdio: ['ignore', 'pipe', 'pipe'] })
  const { stdout } = container.stdio
  const [output] = await Promise.all([stdout === undefined ? '' : text(stdout), container.wait()])
  await runtime.delete('few')
  expect(output).not.toContain('fine')
})

test('a bundle without config.json is an error with the path', async () => {
  const bundle = join(directory, 'nothing')
  const running = runtime.run(runtime.reserve({ id: 'none', bundle }), { stdio: ignored })
  await expect(running).rejects.toMatchObject({
    code: 'ERR_RUNTIME_BUNDLE',
    path: join(bundle, 'config.json'),
  })
})

test('an annotation that asks for root emulation in other words than true is refused', async () => {
  const reservation = reserve('played', sh('true'), {}, (config) => {
    config.annotations = { [ROOT_EMULATION_ANNOTATION]: 'yes' }
  })
  await expect(runtime.run(reservation, { idMapping, stdio: ignored })).rejects.toMatchObject({
    code: 'ERR_RUNTIME_UNSUPPORTED',
    pointer: `/annotations/${ROOT_EMULATION_ANNOTATION}`,
  })
})

test('linux.seccomp is enforced, whether it is the default profile or another', async () => {
  const trying = async (profile: SeccompProfile | undefined) => {
    const script = 'cat /proc/self/status; kill -0 $$ 2>&1'
    const reservation = reserve('filtered', sh(script), {}, (config) => {
      config.linux = { ...config.linux, ...(profile === undefined ? {} : { seccomp: profile }) }
    })
    const container = await runtime.run(reservation, {
      idMapping,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const { stdout } = container.stdio
    const output = stdout === undefined ? '' : await text(stdout)
    await container.wait()
    await runtime.delete('filtered')
    return output
  }
  expect(await trying(undefined)).toMatch(/^Seccomp:\t0$/m)
  expect(await trying(defaultSeccompProfile())).toMatch(/^Seccomp:\t2$/m)
  const rule = { names: ['kill', 'newcall'], action: 'SCMP_ACT_ERRNO', errnoRet: 28 }
  const other = { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [rule] }
  // as config.json has it
  const parsed: SeccompProfile = JSON.parse(JSON.stringify(other))
  expect(await trying(parsed)).toMatch(/kill: .*No space left/i)
})

test.each([
  ['/linux/seccomp/defaultAction', { defaultAction: 'SCMP_ACT_PERHAPS' }],
  ['/linux/seccomp/listenerPath', { defaultAction: 'SCMP_ACT_ALLOW', listenerPath: '/run/x' }],
])('a profile that cannot be enforced is an error: %s', async (pointer, profile) => {
  const reservation = reserve('unfiltered', sh('true'), {}, (config) => {
    config.linux = { ...config.linux, seccomp: JSON.parse(JSON.stringify(profile)) }
  })
  await expect(runtime.run(reservation, { idMapping, stdio: ignored })).rejects.toMatchObject({
    code: 'ERR_RUNTIME_CONFIG',
    pointer,
  })
})

test('a container that is to be removed takes its directory and more with it', async () => {
  const extra = join(directory, 'extra')
  writeFileSync(extra, '')
  writeConfig(sh('exit 3'))
  const bundle = join(directory, 'bundle')
  const reservation = runtime.reserve({ id: 'brief', bundle, removeOnExit: true })
  const options = { idMapping, stdio: ignored, alsoRemove: [extra] }
  const container = await runtime.run(reservation, options)
  expect((await container.wait()).exitCode).toBe(3)
  expect(existsSync(reservation.directory)).toBe(false)
  expect(existsSync(extra)).toBe(false)
  await expect(runtime.state('brief')).rejects.toMatchObject({ code: 'ERR_RUNTIME_NOT_FOUND' })
})

const ignored = ['ignore', 'ignore', 'ignore'] as const

function sh(script: string): string[] {
  return ['sh', '-c', script]
}

function reserve(
  id: string,
  args: string[],
  annotations: Record<string, string> = {},
  change: (config: RuntimeConfig) => void = () => {},
) {
  writeConfig(args, change)
  return runtime.reserve({ id, bundle: join(directory, 'bundle'), annotations })
}

function writeConfig(args: string[], change: (config: RuntimeConfig) => void = () => {}): void {
  const config = exampleConfig()
  config.process = { ...config.process, args, user: { uid: 0, gid: 0 } }
  config.linux = {
    ...config.linux,
    uidMappings: [...idMapping.uidMappings],
    gidMappings: [...idMapping.gidMappings],
  }
  change(config)
  writeFileSync(join(directory, 'bundle', 'config.json'), JSON.stringify(config))
}
