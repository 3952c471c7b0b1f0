import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { canCreateUserNamespace, requires, requiresProgram } from '@cromwell/test-support'
import { beforeEach, describe, expect, test } from 'vitest'
import {
  collect,
  containerSpec,
  eventually,
  nodeProgram,
  runSpec,
  temporaryDirectory,
} from '../container.test.fixture.ts'
import { join as joinContainer } from '../join.ts'
import { launch } from '../launch.ts'
import { compileSeccomp } from './compile.ts'
import type { SeccompRule } from './profile.ts'
import type { SyscallHandler, SyscallRequest } from './syscall-handler.ts'

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

/** Everything allowed but for some calls, which are asked about. */
function asking(...names: string[]): Uint8Array {
  const rule: SeccompRule = { names, action: 'SCMP_ACT_NOTIFY' }
  return compileSeccomp({ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [rule] }).program
}

// The names of one call on both architectures.
const MKDIR = ['mkdirat', ...(process.arch === 'x64' ? ['mkdir'] : [])]

async function ask(script: string, onSyscall: SyscallHandler, names = MKDIR, timeoutMs = 5000) {
  const spec = containerSpec(['/bin/sh', '-c', script], { process: { seccomp: asking(...names) } })
  return runSpec(spec, { onSyscall, syscallTimeoutMs: timeoutMs })
}

test('a handler sees a call’s registers, and its answer is the call’s', async () => {
  const seen: SyscallRequest[] = []
  const result = await ask('mkdir /tmp/a; echo $?; ls /tmp', async (call) => {
    seen.push(call)
    await new Promise((resolve) => setTimeout(resolve, 10))
    return { value: 0 }
  })
  expect(result).toMatchObject({ exitCode: 0, stdout: '0\n' })
  expect(seen).toHaveLength(1)
  const [call] = seen
  expect(Object.keys(call ?? {}).sort()).toEqual(['arch', 'args', 'number', 'pid', 'syscall'])
  expect(call).toMatchObject({ syscall: MKDIR.at(-1), arch: process.arch })
  expect(call?.args.every((arg) => typeof arg === 'bigint')).toBe(true)
  expect(call?.args).toContain(0o777n)
})

test.each([
  [{ errno: 'EEXIST' }, 'File exists'],
  [{ errno: 28 }, 'No space left on device'],
  [{ errno: 'ENOTHING' }, 'Operation not permitted'],
] as const)('the answer %j fails the call with %s', async (answer, message) => {
  const result = await ask('mkdir /tmp/a', () => answer)
  expect(result.stderr).toContain(message)
  expect(result.exitCode).toBe(1)
})

test('continueByRegisters lets the kernel do it', async () => {
  const result = await ask('mkdir /tmp/a && ls /tmp', () => ({ continueByRegisters: true }))
  expect(result).toMatchObject({ exitCode: 0, stdout: 'a\n' })
})

describe('whatever goes wrong is a refusal:', () => {
  const refused = { exitCode: 1, stdout: '', stderr: expect.stringContaining('not permitted') }

  test('a handler that throws', async () => {
    const handler = () => {
      throw new Error('no idea')
    }
    expect(await ask('mkdir /tmp/a', handler)).toMatchObject(refused)
  })

  test('a handler that rejects, or answers nonsense', async () => {
    expect(await ask('mkdir /tmp/a', () => Promise.reject(new Error('no')))).toMatchObject(refused)
    // what a program in JavaScript may return
    const nonsense = () => undefined as unknown as { value: number }
    expect(await ask('mkdir /tmp/a', nonsense)).toMatchObject(refused)
  })

  test('a handler that takes too long, and its late answer changes nothing', async () => {
    const started = Date.now()
    const result = await ask(
      'mkdir /tmp/a',
      () => new Promise((resolve) => setTimeout(() => resolve({ value: 0 }), 400).unref()),
      MKDIR,
      100,
    )
    expect(result).toMatchObject(refused)
    expect(Date.now() - started).toBeLessThan(3000)
  })
})

test('an event loop that hangs does not keep a call waiting: the monitor refuses it in time', async () => {
  const spec = containerSpec(['/bin/sh', '-c', 'echo ready; mkdir /tmp/a; date +%s%3N'], {
    process: { seccomp: asking(...MKDIR) },
  })
  const program = await launch(spec, {
    stdio: ['ignore', 'pipe', 'ignore'],
    onSyscall: () => ({ value: 0 }),
    syscallTimeoutMs: 100,
  })
  const output = collect(program.stdout)
  const blockedUntil = Date.now() + 1500
  // the loop hangs from before the call to long after its time
  while (Date.now() < blockedUntil) {}
  const answeredAt = Number((await output).trim().split('\n').at(-1))
  expect(answeredAt).toBeLessThan(blockedUntil - 500)
})

const LAUNCHER = `
const { compileSeccomp, launch } = await import('@cromwell/ns-native')
const spec = JSON.parse(process.argv[1])
const rule = { names: JSON.parse(process.argv[2]), action: 'SCMP_ACT_NOTIFY' }
spec.process.seccomp = compileSeccomp({ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [rule] }).program
const onSyscall = () => process.exit() // with the call unanswered
await launch(spec, { stdio: ['ignore', 'ignore', 'ignore'], detached: true, onSyscall })
`

test('when Node has gone, the calls of what outlives it are refused', async () => {
  const out = temporaryDirectory()
  const script = 'for n in 1 2; do mkdir /tmp/$n 2>&1; done >/out/part; mv /out/part /out/done'
  const { process: program, ...spec } = containerSpec(['/bin/sh', '-c', script], {
    mounts: [{ type: 'bind', source: out, destination: '/out' }],
  })
  const { seccomp: _, ...rest } = program
  const encoded = JSON.stringify({ ...spec, process: rest })
  const args = nodeProgram(LAUNCHER, encoded, JSON.stringify(MKDIR))
  const cwd = fileURLToPath(new URL('../..', import.meta.url))
  expect(spawnSync(process.execPath, args, { cwd, encoding: 'utf8' })).toMatchObject({
    status: 0,
    stderr: '',
  })
  await eventually(() => existsSync(join(out, 'done')))
  const refusals = readFileSync(join(out, 'done'), 'utf8').match(/not permitted/g)
  expect(refusals).toHaveLength(2)
})

test('every call of set-up may be asked about: even exec, and what carries the listener out', async () => {
  const asked = new Set<string>()
  const names = ['execve', 'sendmsg', 'write', 'close', 'mmap', 'exit_group', 'nanosleep', 'futex']
  const result = await ask(
    'exec echo done',
    ({ syscall }) => {
      asked.add(syscall)
      return { continueByRegisters: true }
    },
    names,
  )
  expect(result).toMatchObject({ exitCode: 0, stdout: 'done\n' })
  expect([...asked]).toEqual(expect.arrayContaining(['execve', 'mmap', 'write', 'exit_group']))
})

test('a program that joins a container has handlers of its own', async () => {
  const container = await launch(containerSpec(['sleep', '1000']), {
    stdio: ['ignore', 'ignore', 'ignore'],
  })
  const script = 'mkdir /tmp/a || exit 3'
  const process = {
    ...containerSpec(['/bin/sh', '-c', script]).process,
    seccomp: asking(...MKDIR, 'execve'),
  }
  const asked: string[] = []
  const joined = await joinContainer(
    container,
    { process },
    {
      stdio: ['ignore', 'ignore', 'ignore'],
      onSyscall: ({ syscall }) => {
        asked.push(syscall)
        return syscall === 'execve' ? { continueByRegisters: true } : { errno: 'EACCES' }
      },
    },
  )
  expect(await joined.wait()).toMatchObject({ exitCode: 3 })
  expect(asked).toContain('execve')
  expect(asked.some((name) => MKDIR.includes(name))).toBe(true)
  container.kill('SIGKILL')
  await container.wait()
})

test('many threads may wait at once, and each gets its own answer', async (context) => {
  requiresProgram(context, 'python3')
  const script = `
import ctypes, threading
libc = ctypes.CDLL(None, use_errno=True)
bad = []
def ask(n):
    for i in range(20):
        want = n * 100 + i
        got = libc.syscall(${process.arch === 'arm64' ? 141 : 140}, 0, want)
        if got != want: bad.append((want, got))
threads = [threading.Thread(target=ask, args=(n,)) for n in range(16)]
[t.start() for t in threads]
[t.join() for t in threads]
print(len(bad))`
  const spec = containerSpec(['python3', '-c', script], {
    process: { seccomp: asking('getpriority') },
  })
  const result = await runSpec(spec, { onSyscall: ({ args }) => ({ value: args[1] ?? 0n }) })
  expect(result).toMatchObject({ exitCode: 0, stdout: '0\n' })
})

test('the program does not get the listener, by which it could answer itself', async () => {
  const result = await ask('ls -l /proc/self/fd | grep -c seccomp', () => ({ errno: 1 }))
  expect(result.stdout).toBe('0\n')
})

test.each([
  ['/process/seccomp', { seccomp: asking(...MKDIR) }, {}],
  [
    '/process/noNewPrivileges',
    { seccomp: asking(...MKDIR), noNewPrivileges: false },
    { onSyscall: () => ({ value: 0 }) },
  ],
  ['/process/seccomp', {}, { onSyscall: () => ({ value: 0 }) }],
  [
    '/syscallTimeoutMs',
    { seccomp: asking(...MKDIR) },
    { onSyscall: () => ({ value: 0 }), syscallTimeoutMs: 0 },
  ],
] as const)(
  'what nobody could answer is refused beforehand: %s',
  async (pointer, process, options) => {
    const spec = containerSpec(['true'], { process })
    await expect(runSpec(spec, options)).rejects.toMatchObject({ code: 'ERR_NS_SPEC', pointer })
  },
)
