import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { constants, getPriority } from 'node:os'
import { join } from 'node:path'
import { canCreateUserNamespace, requires, requiresProgram } from '@cromwell/test-support'
import { afterEach, beforeEach, expect, onTestFinished, type TestContext, test } from 'vitest'
import {
  ALLOW_ALL,
  type Changes,
  containerSpec,
  eventually,
  idMapping,
  isAlive,
  runSpec,
} from './container.test.fixture.ts'
import { CAPABILITIES } from './defaults.ts'
import { launch } from './launch.ts'
import type { PresetName } from './sandbox/policy.ts'
import { presets } from './sandbox/presets.ts'
import { sandbox } from './sandbox/sandbox.ts'

// Ways out that others have found, tried in a container and in each preset. What other tests try is
// listed in docs/security.md.

let directory: string
beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
  directory = mkdtempSync('/var/tmp/cromwell-escape-') // /tmp is the sandboxes’ own
  chmodSync(directory, 0o755)
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

/** The payload, linked statically: it needs nothing of what is around it. */
function buildPayload(context: TestContext): string {
  const program = join(directory, 'escape')
  const source = join(import.meta.dirname, 'escape.c')
  const { status, stderr } = spawnSync(
    requiresProgram(context, 'cc'),
    ['-static', '-O1', '-o', program, source],
    { encoding: 'utf8' },
  )
  requires(context, 'cc', status === 0, `cannot compile ${source}: ${stderr}`)
  return program
}

/** An abstract socket that this process listens on. */
async function listenAbstract(): Promise<string> {
  const name = `cromwell-escape-${process.pid}`
  const server = createServer((socket) => socket.destroy())
  await new Promise<void>((resolve) => server.listen(`\0${name}`, resolve))
  onTestFinished(() => void server.close())
  return name
}

const { EACCES, EPERM, EROFS, ESRCH, ENOSYS, ECONNREFUSED, ENOENT, EINVAL, EBADF } = constants.errno

/** What a try may answer; anything else, above all 0, is a way out. */
const REFUSALS: Record<string, readonly number[]> = {
  'readlink /proc/1/exe': [EACCES],
  'readlink /proc/1/cwd': [EACCES],
  'readlink /proc/1/fd/0': [EACCES, ENOENT],
  'open /proc/1/fd/0': [EACCES, ENOENT],
  'open /proc/1/exe': [EACCES],
  'write /proc/1/exe': [EACCES],
  'open /proc/1/environ': [EACCES],
  'open /proc/1/maps': [EACCES],
  'write /proc/1/mem': [EACCES],
  'open /proc/1/root/etc': [EACCES],
  'open /proc/1/cwd/etc': [EACCES],
  'ptrace PID 1': [EPERM],
  'process_vm_readv of PID 1': [EPERM, EINVAL],
  'write /proc/sys/kernel/core_pattern': [EROFS, EACCES],
  'write /proc/sys/kernel/modprobe': [EROFS, EACCES, ENOENT],
  'write /proc/sysrq-trigger': [EROFS, EACCES, EPERM, ENOENT],
  'write /sys/kernel/uevent_helper': [EROFS, EACCES, ENOENT],
  'write /sys/fs/cgroup/release_agent': [EROFS, EACCES, ENOENT],
  'write /proc/self/exe': [constants.errno.ETXTBSY, EACCES, EROFS],
  'mount over /proc/sys': [EPERM],
  'mount a cgroup with a release_agent': [EPERM],
  'remount /proc/sys': [EPERM],
  'umount /proc/sys': [EPERM],
  'mknod of a disk': [EPERM],
  'mknod of kernel memory': [EPERM],
  open_by_handle_at: [EPERM],
  'unshare of a user namespace': [EPERM],
  'clone into a user namespace': [EPERM],
  'clone3 into a user namespace': [ENOSYS],
  'setns to PID 1': [EPERM],
  'kill outside': [ESRCH],
  'setpriority outside': [ESRCH],
  'pidfd_open outside': [ESRCH],
  'abstract socket of the host': [ECONNREFUSED],
  'keys of the session': [EPERM],
  'TIOCSTI with high bits': [EPERM],
  io_uring: [EPERM, ENOSYS],
  x32: [ENOSYS],
}

/** Lines that say more than an errno. */
const FACTS = [
  ...(process.arch === 'x64' ? ['i386 signal 31'] : []),
  'climbing ends at our root 1',
  'a passed directory after chroot ends at our root 1',
  'program from memory: filter 2, no_new_privs 1',
]

/** The tries that went otherwise than they should. */
function waysOut(stdout: string, refusals = REFUSALS): string[] {
  const lines = stdout.trim().split('\n')
  const missing = [...Object.keys(refusals), ...FACTS].filter(
    (what) => what !== 'x32' && !lines.some((line) => line.startsWith(what)),
  )
  const wrong = lines.filter((line) => {
    const [, name = '', number = ''] = /^(.*) (\d+)$/.exec(line) ?? []
    return !FACTS.includes(line) && refusals[name]?.includes(Number(number)) !== true
  })
  return [...wrong, ...missing.map((what) => `not tried: ${what}`)]
}

test('in a container none of the known ways leads out', async (context) => {
  const payload = buildPayload(context)
  const name = await listenAbstract()
  const nice = getPriority()
  const spec = withPayload(payload, ['/escape', `${process.pid}`, name])
  const { stdout, stderr, exitCode } = await runSpec(spec)
  expect([stderr, exitCode]).toEqual(['', 0])
  expect(waysOut(stdout)).toEqual([])
  expect(getPriority()).toBe(nice)
})

// The filter refuses most of it first: so without one, and with every capability that root can have.
test('without the filter the kernel and the mounts still keep it in', async (context) => {
  const payload = buildPayload(context)
  const name = await listenAbstract()
  const capabilities = Object.keys(CAPABILITIES)
  const spec = withPayload(payload, ['/escape', `${process.pid}`, name], {
    process: { capabilities, seccomp: ALLOW_ALL },
  })
  const { stdout } = await runSpec(spec)
  const kept = [
    ...Object.keys(REFUSALS).filter((what) => /\/proc\/1|PID 1|outside|abstract|mknod/.test(what)),
    ...['write /proc/sys/kernel/core_pattern', 'write /proc/sysrq-trigger'],
  ]
  // another errno than the filter's is as good
  const others = [EINVAL, EACCES, EBADF]
  const refusals = Object.fromEntries(
    kept.map((what) => [what, [...(REFUSALS[what] ?? []), ...others]]),
  )
  const tried = stdout.split('\n').filter((line) => kept.some((what) => line.startsWith(what)))
  expect(waysOut([...tried, ...FACTS].join('\n'), refusals)).toEqual([])
})

// `landlock` is without namespaces: its program sees the caller's processes and may slow them down
const isolating = Object.keys(presets).filter((name) => name !== 'landlock') as PresetName[]

test.for(isolating)(
  'in the sandbox %s none of the known ways leads out',
  async (preset, context) => {
    const payload = buildPayload(context)
    const name = await listenAbstract()
    const nice = getPriority()
    const box = await sandbox({ preset, files: { readOnly: [directory] } })
    onTestFinished(() => box.close())
    const { stdout, stderr } = await box.run(payload, [`${process.pid}`, name])
    expect(stderr).toBe('')
    expect(waysOut(stdout)).toEqual([])
    expect(getPriority()).toBe(nice)
  },
)

test('a working directory that is a descriptor of ours is refused, whichever', async () => {
  const failures = Array.from({ length: 32 }, async (_, fd) => {
    const spec = containerSpec(['/bin/true'], { process: { cwd: `/proc/self/fd/${fd}` } })
    const outcome = await launch(spec, { stdio: ['ignore', 'ignore', 'ignore'] }).catch(
      (error: unknown) => error,
    )
    return (outcome as { code?: string }).code
  })
  expect(new Set(await Promise.all(failures))).toEqual(new Set(['ERR_NS_SETUP']))
})

test('a setuid program in a bind gives nothing with no_new_privs, and with nosuid', async (context) => {
  requires(
    context,
    'subuid',
    idMapping.kind !== 'single',
    'a single id cannot be another one inside',
  )
  const payload = buildPayload(context)
  chmodSync(payload, 0o4755)
  const user = { uid: 1000, gid: 1000, capabilities: [] }
  for (const noNewPrivileges of [true, false]) {
    const spec = withPayload(payload, ['/escape', 'uid'], {
      process: { ...user, noNewPrivileges },
    })
    const { stdout } = await runSpec(spec)
    expect(stdout).toBe('1000 1000\n')
  }
})

test('SIGTERM can be ignored, the end cannot, by a session of its own neither', async (context) => {
  const spec = withPayload(buildPayload(context), ['/escape', 'stubborn'])
  const contained = await launch(spec, { stdio: ['ignore', 'pipe', 'ignore'] })
  for await (const _ of contained.stdout ?? []) break
  contained.kill('SIGTERM')
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(isAlive(contained.pid)).toBe(true)
  contained.kill('SIGKILL')
  expect((await contained.wait()).signal).toBe('SIGKILL')
  await eventually(() => !isAlive(contained.pid))
})

test('five hundred orphans that end do not stop PID 1 from seeing the program’s end', async (context) => {
  const spec = withPayload(buildPayload(context), ['/escape', 'zombies', '500'])
  const { exitCode } = await runSpec(spec)
  expect(exitCode).toBe(0)
})

/** A container with the payload in it, as a file of its own image. */
function withPayload(payload: string, args: readonly string[], changes: Changes = {}) {
  return containerSpec(args, {
    ...changes,
    mounts: [
      { type: 'bind', source: payload, destination: '/escape', readonly: true, nosuid: true },
    ],
  })
}
