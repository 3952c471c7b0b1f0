import { spawnSync } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { beforeEach, expect, test } from 'vitest'
import {
  containerSpec,
  idMapping,
  nodeProgram,
  runScript,
  runSpec,
  singleId,
} from './container.test.fixture.ts'
import { CAPABILITIES, DEFAULT_CAPABILITIES } from './defaults.ts'

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

const packageDirectory = fileURLToPath(new URL('..', import.meta.url))

/** One field of /proc/PID/status. */
function field(status: string, name: string): string | undefined {
  return new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1]
}

test('the environment is what was given, and nothing else', async () => {
  const env = ['PATH=/usr/bin:/bin', 'EMPTY=', 'SPACE=a b=c', 'UNICODE=é']
  const { stdout } = await runSpec(
    containerSpec(['cat', '/proc/self/environ'], { process: { env } }),
  )
  expect(stdout.split('\0').slice(0, -1)).toEqual(env)
})

test('arguments arrive as they are, empty ones too', async () => {
  const args = ['printf', '<%s>', '', 'a b', '*', '$HOME', 'é']
  expect((await runSpec(containerSpec(args))).stdout).toBe('<><a b><*><$HOME><é>')
})

test('root has the named capabilities and no others, none of them inheritable or ambient', async () => {
  const { stdout } = await runScript('cat /proc/self/status')
  const bits = DEFAULT_CAPABILITIES.reduce(
    (sum, name) => sum | (1n << BigInt(CAPABILITIES[name])),
    0n,
  )
  const wanted = bits.toString(16).padStart(16, '0')
  for (const set of ['CapPrm', 'CapEff', 'CapBnd']) expect(field(stdout, set)).toBe(wanted)
  for (const set of ['CapInh', 'CapAmb']) expect(field(stdout, set)).toBe('0000000000000000')
})

test('another user has no capabilities, but the same bounding set', async (context) => {
  requires(context, 'subuid', idMapping.kind !== 'single', 'this user has one id only')
  const { stdout } = await runScript('cat /proc/self/status', { process: { uid: 33, gid: 33 } })
  for (const set of ['CapPrm', 'CapEff', 'CapInh', 'CapAmb']) {
    expect(field(stdout, set)).toBe('0000000000000000')
  }
  expect(field(stdout, 'CapBnd')).toBe('00000000800405fb')
  expect(field(stdout, 'Uid')).toBe('33\t33\t33\t33')
})

test('an empty capability list leaves root with none', async () => {
  const { stdout } = await runScript('cat /proc/self/status', { process: { capabilities: [] } })
  for (const set of ['CapPrm', 'CapEff', 'CapBnd'])
    expect(field(stdout, set)).toBe('0000000000000000')
})

test.each([true, false])(
  'no_new_privs is %s as asked, the filter is there either way',
  async (nnp) => {
    const { stdout } = await runScript('cat /proc/self/status', {
      process: { noNewPrivileges: nnp },
    })
    expect(field(stdout, 'NoNewPrivs')).toBe(nnp ? '1' : '0')
    expect(field(stdout, 'Seccomp')).toBe('2')
  },
)

test('without a filter there is none', async () => {
  const spec = containerSpec(['cat', '/proc/self/status'])
  const { seccomp: _, ...process } = spec.process
  expect(field((await runSpec({ ...spec, process })).stdout, 'Seccomp')).toBe('0')
})

test('the umask is set, whatever the caller’s', async () => {
  const { stdout } = await runScript('umask; touch /tmp/x; stat -c %a /tmp/x', {
    process: { umask: 0o027 },
  })
  expect(stdout).toBe('0027\n640\n')
})

test('the program starts in a session of its own, as its leader', async () => {
  const { stdout } = await runScript('exec cat /proc/self/stat')
  const [pid, , , , pgrp, session, tty] = stdout.split(' ')
  expect([pgrp, session, tty]).toEqual([pid, pid, '0'])
})

const LEAKY = `
import { launch } from '@cromwell/ns-native'
const spec = JSON.parse(process.argv[1])
const child = await launch({ ...spec, process: { ...spec.process } }, { stdio: ['ignore', 1, 2] })
process.exitCode = (await child.wait()).exitCode
`

test('nothing of a messy launcher gets in: descriptors, signal mask and dispositions', async () => {
  const { process: full, ...others } = containerSpec([
    '/bin/sh',
    '-c',
    // a builtin test opens nothing itself
    'i=0; while [ $i -lt 400 ]; do [ -e /proc/self/fd/$i ] && echo $i; i=$((i+1)); done; ' +
      'exec cat /proc/self/status',
  ])
  const { seccomp: _, ...process_ } = full
  const program = nodeProgram(LEAKY, JSON.stringify({ ...others, process: process_ }))
  // Node closes what it inherits only up to the first gap, so: gaps.
  const stdio = Array.from({ length: 300 }, (_, fd) =>
    fd < 3 ? ('pipe' as const) : fd % 7 === 5 ? ('ignore' as const) : 1,
  )
  const messy = 'trap "" HUP INT TERM USR1 PIPE; exec "$0" "$@"'
  const { stdout, stderr } = spawnSync('/bin/sh', ['-c', messy, process.execPath, ...program], {
    cwd: packageDirectory,
    encoding: 'utf8',
    stdio: [
      'pipe',
      'pipe',
      'pipe',
      ...stdio.slice(3).map((kind) => (kind === 1 ? process.stdout.fd : kind)),
    ],
  })
  expect(stderr).toBe('')
  expect(stdout).toMatch(/^0\n1\n2\nName:/)
  for (const mask of ['SigBlk', 'SigIgn', 'SigCgt'])
    expect(field(stdout, mask)).toBe('0000000000000000')
})

test('the working directory is made when missing', async () => {
  expect((await runScript('pwd', { process: { cwd: '/srv/a/b' } })).stdout).toBe('/srv/a/b\n')
})

test('a working directory behind a magic link is refused', async () => {
  for (const cwd of ['/proc/self/fd/3', '/proc/1/cwd', '/proc/self/root', '/sneaky/x']) {
    const started = runScript('pwd', {
      process: { cwd },
      image: (directory) => symlinkSync('/proc/self/fd', join(directory, 'sneaky')),
    })
    await expect(started).rejects.toMatchObject({ code: 'ERR_NS_SETUP', step: /^cwd/ })
  }
})

// Where there is no root to resolve it in, the program's own step is all there is.
test('a working directory behind a magic link is refused without a root of its own, too', async () => {
  const { root: _, ...spec } = containerSpec(['true'])
  const bare = { ...spec, mounts: [], maskedPaths: [], readonlyPaths: [] }
  for (const cwd of ['/proc/self/cwd', '/proc/self/root', '/proc/thread-self/root/tmp']) {
    const started = runSpec({ ...bare, process: { ...spec.process, cwd } })
    await expect(started).rejects.toMatchObject({ step: 'cwd', errno: constants.errno.ELOOP })
  }
})

test('a working directory that the user may not enter is an error', async (context) => {
  requires(context, 'subuid', idMapping.kind !== 'single', 'this user has one id only')
  const started = runScript('pwd', {
    process: { cwd: '/closed', uid: 33, gid: 33 },
    image: (directory) => mkdirSync(join(directory, 'closed'), { mode: 0o700 }),
  })
  await expect(started).rejects.toMatchObject({ step: 'cwd', errno: 13, path: '/closed' })
})

test('a working directory that is a file is an error', async () => {
  const started = runScript('pwd', { process: { cwd: '/usr/bin/env' } })
  await expect(started).rejects.toMatchObject({ code: 'ERR_NS_SETUP', step: 'cwd', errno: 20 })
})

test.each([0, 1, 3, 255])('exit code %i is told', async (code) => {
  expect(await runScript(`exit ${code}`)).toMatchObject({ exitCode: code, signal: null })
})

test.each(['SIGKILL', 'SIGTERM', 'SIGSEGV'] as const)('death by %s is told', async (signal) => {
  const number = { SIGKILL: 9, SIGTERM: 15, SIGSEGV: 11 }[signal]
  expect(await runScript(`kill -${number} $$`)).toMatchObject({ exitCode: null, signal })
})

test('usage counts all that ran inside', async () => {
  const { usage } = await runScript('(i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done) & wait')
  expect(usage.userMs + usage.systemMs).toBeGreaterThan(20)
  expect(usage.maxRssBytes).toBeGreaterThan(500_000)
})

test('a program that does not exist is ENOENT', async () => {
  for (const name of ['no-such-program', '/no/such/program', '']) {
    const started = runSpec(containerSpec([name]))
    await expect(started).rejects.toMatchObject({ code: 'ERR_NS_EXEC', errno: 2 })
  }
})

test('a program that may not be executed is EACCES, on the PATH too', async () => {
  const image = (directory: string) => {
    mkdirSync(join(directory, 'opt'))
    writeFileSync(join(directory, 'opt', 'plain'), 'x', { mode: 0o644 })
  }
  const env = ['PATH=/nowhere:/opt:/usr/bin']
  for (const name of ['/opt/plain', '/opt', 'plain']) {
    const started = runSpec(containerSpec([name], { image, process: { env } }))
    await expect(started).rejects.toMatchObject({ code: 'ERR_NS_EXEC', errno: 13 })
  }
})

test('a program whose interpreter is missing is ENOENT and says so', async () => {
  const image = (directory: string) =>
    writeFileSync(join(directory, 'script'), '#!/no/such/shell\n', { mode: 0o755 })
  const started = runSpec(containerSpec(['/script'], { image }))
  await expect(started).rejects.toMatchObject({
    code: 'ERR_NS_EXEC',
    errno: 2,
    path: '/script',
    message: 'cannot execute /script: its interpreter or loader is missing',
    hint: expect.stringContaining('interpreter'),
  })
})

test('a file that is no program is ENOEXEC, not a shell script', async () => {
  const image = (directory: string) =>
    writeFileSync(join(directory, 'text'), 'echo hello\n', { mode: 0o755 })
  const started = runSpec(containerSpec(['/text'], { image }))
  await expect(started).rejects.toMatchObject({
    code: 'ERR_NS_EXEC',
    errno: 8,
    message: 'cannot execute /text: exec format error',
  })
})

test('the PATH is that of the environment inside', async () => {
  const image = (directory: string) => {
    mkdirSync(join(directory, 'opt'))
    writeFileSync(join(directory, 'opt', 'greet'), '#!/bin/sh\necho hi\n', { mode: 0o755 })
  }
  const env = ['PATH=/opt:/usr/bin:/bin']
  expect((await runSpec(containerSpec(['greet'], { image, process: { env } }))).stdout).toBe('hi\n')
})

test('an id that is not mapped is an error with a remedy', async () => {
  const started = runScript('id', { idMapping: singleId, process: { uid: 1, gid: 1 } })
  await expect(started).rejects.toMatchObject({
    step: 'setid.final',
    errno: 22,
    hint: expect.stringContaining('/etc/subuid'),
  })
})

test('keys of the caller’s session are out of reach', async () => {
  const { stdout } = await runScript('cat /proc/self/status | grep -c Name; cat /proc/keys | wc -c')
  expect(stdout).toBe('1\n0\n')
})

const SECCOMP_RET_KILL_PROCESS = 0x80
const SECCOMP_RET_ERRNO_HIGH = 0x05

test.each([
  ['kills', SECCOMP_RET_KILL_PROCESS, 0, 'signal 31'],
  ['refuses', SECCOMP_RET_ERRNO_HIGH, 1, 'signal 4'],
] as const)(
  'a filter that %s every call, exec too, is an error and no exit code',
  async (_, high, errno, how) => {
    const seccomp = Uint8Array.of(
      0x06,
      0,
      0,
      0,
      errno,
      0,
      high === 0x80 ? 0 : high,
      high === 0x80 ? high : 0,
    )
    const started = runScript('true', { process: { seccomp } })
    await expect(started).rejects.toMatchObject({
      code: 'ERR_NS_SETUP',
      step: 'seccomp',
      message: `cannot install the seccomp filter: it kills the process before that is the program (${how})`,
      hint: expect.stringContaining('must allow execve'),
    })
  },
)

test('a program that its filter kills at its first call has started, and is told by its signal', async () => {
  // all but execve, whatever the architecture: the program’s loader calls brk first
  const execve = process.arch === 'x64' ? 59 : 221
  const seccomp = Uint8Array.of(
    ...[0x20, 0, 0, 0, 0, 0, 0, 0], // load the call’s number
    ...[0x15, 0, 0, 1, execve, 0, 0, 0],
    ...[0x06, 0, 0, 0, 0, 0, 0xff, 0x7f],
    ...[0x06, 0, 0, 0, 0, 0, 0, SECCOMP_RET_KILL_PROCESS],
  )
  const outcome = await runSpec(containerSpec(['/usr/bin/env'], { process: { seccomp } }))
  expect(outcome).toMatchObject({ exitCode: null, signal: 'SIGSYS' })
})
