import { spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { beforeEach, expect, test } from 'vitest'
import {
  collect,
  containerSpec,
  idMapping,
  nodeProgram,
  runSpec,
  temporaryDirectory,
} from './container.test.fixture.ts'
import { launch } from './launch.ts'

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

const packageDirectory = fileURLToPath(new URL('..', import.meta.url))
const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest('hex')
const shell = (script: string, changes = {}) => containerSpec(['/bin/sh', '-c', script], changes)

test('stdin, stdout and stderr are separate pipes', async () => {
  const { stdout, stderr } = await runSpec(shell('cat; echo error >&2'), { input: 'input' })
  expect([stdout, stderr]).toEqual(['input', 'error\n'])
})

test('ignored stdio is /dev/null', async () => {
  const spec = shell('readlink /proc/self/fd/0 /proc/self/fd/2 && cat')
  const child = await launch(spec, { stdio: ['ignore', 'pipe', 'ignore'] })
  expect(await collect(child.stdout)).toBe('/dev/null\n/dev/null\n')
  expect(child.stdin).toBeUndefined()
  await child.wait()
})

test('a descriptor is handed over as it is, offset and all', async () => {
  const path = join(temporaryDirectory(), 'file')
  writeFileSync(path, 'before\n')
  const fd = openSync(path, 'a')
  const child = await launch(shell('echo inside; echo error >&2'), { stdio: ['ignore', fd, fd] })
  closeSync(fd)
  await child.wait()
  expect(readFileSync(path, 'utf8')).toBe('before\ninside\nerror\n')
})

test('swapped descriptors end up swapped', async () => {
  const program = `
    import { launch } from '@cromwell/ns-native'
    const child = await launch(JSON.parse(process.argv[1]), { stdio: [0, 2, 1] })
    await child.wait()`
  const { seccomp: _, ...process_ } = shell('echo out; echo err >&2').process
  const spec = { ...shell(''), process: process_ }
  const result = spawnSync(process.execPath, nodeProgram(program, JSON.stringify(spec)), {
    cwd: packageDirectory,
    encoding: 'utf8',
  })
  expect([result.stdout, result.stderr]).toEqual(['err\n', 'out\n'])
})

test('a descriptor that is not open is an error', async () => {
  const started = launch(shell('true'), { stdio: [999, 'ignore', 'ignore'] })
  await expect(started).rejects.toMatchObject({
    code: 'ERR_NS_HELPER',
    errno: 9,
    hint: expect.stringContaining('stdio'),
  })
})

test('large input and output pass unchanged, directly and through the log', async () => {
  const input = randomBytes(3 << 20).toString('base64')
  for (const logged of [false, true]) {
    const logPath = join(temporaryDirectory(), 'log')
    const { stdout } = await runSpec(shell('cat', logged ? { monitor: { logPath } } : {}), {
      input,
    })
    expect(stdout.length).toBe(input.length)
    expect(sha256(stdout)).toBe(sha256(input))
  }
})

test('a reader that closes makes the writer notice', async () => {
  const child = await launch(shell('yes; echo over >&2'), { stdio: ['ignore', 'pipe', 'pipe'] })
  child.stdout?.once('data', () => child.stdout?.destroy())
  expect(await collect(child.stderr)).toContain('over\n')
  expect(await child.wait()).toMatchObject({ exitCode: 0 })
})

test('a slow reader loses nothing', async () => {
  const logPath = join(temporaryDirectory(), 'log')
  const child = await launch(shell('head -c 300000 /dev/zero', { monitor: { logPath } }), {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect((await collect(child.stdout)).length).toBe(300_000)
  expect(await child.wait()).toMatchObject({ exitCode: 0 })
})

test('a reader who is gone does not stop a container that is logged', async () => {
  const logPath = join(temporaryDirectory(), 'log')
  const child = await launch(shell('sleep 0.1; seq 1 1000; echo end', { monitor: { logPath } }), {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  child.stdout?.destroy()
  expect(await child.wait()).toMatchObject({ exitCode: 0 })
  expect(readFileSync(logPath, 'utf8')).toMatch(/ stdout F 1000\n.* stdout F end\n$/)
})

test('the log has a line per line, with time, stream, and what has no end of line as partial', async () => {
  const logPath = join(temporaryDirectory(), 'log')
  const { stdout } = await runSpec(
    shell('echo one; echo; sleep 0.05; echo two >&2; sleep 0.05; printf three', {
      monitor: { logPath },
    }),
  )
  expect(stdout).toBe('one\n\nthree')
  const time = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z`
  const lines = ['stdout F one', 'stdout F ', 'stderr F two', 'stdout P three']
  expect(readFileSync(logPath, 'utf8')).toMatch(
    new RegExp(`^${lines.map((line) => `${time} ${line}\n`).join('')}$`),
  )
  const [first = ''] = readFileSync(logPath, 'utf8').split(' ')
  expect(Math.abs(Date.parse(first) - Date.now())).toBeLessThan(60_000)
})

test('the log is appended to, and readable by its owner alone', async () => {
  const logPath = join(temporaryDirectory(), 'log')
  for (const word of ['one', 'two']) await runSpec(shell(`echo ${word}`, { monitor: { logPath } }))
  expect(readFileSync(logPath, 'utf8').match(/F (one|two)\n/g)).toHaveLength(2)
})

test('a log that cannot be opened is an error', async () => {
  const logPath = join(temporaryDirectory(), 'missing', 'log')
  await expect(runSpec(shell('true', { monitor: { logPath } }))).rejects.toMatchObject({
    code: 'ERR_NS_SETUP',
    step: 'log',
    errno: 2,
    path: logPath,
  })
})

// Importing some libraries, or looking at process.stdin, sets O_NONBLOCK on what we share.
test('a stdin that somebody made non-blocking blocks again inside', () => {
  const program = `
    import { launch } from '@cromwell/ns-native'
    process.stdin
    const child = await launch(JSON.parse(process.argv[1]), { stdio: [0, 1, 2] })
    process.exitCode = (await child.wait()).exitCode`
  const { seccomp: _, ...process_ } = shell('cat && cat /proc/self/fdinfo/0').process
  const spec = JSON.stringify({ ...shell(''), process: process_ })
  const command = '(sleep 0.3; echo late) | "$0" "$@"'
  const result = spawnSync(
    '/bin/sh',
    ['-c', command, process.execPath, ...nodeProgram(program, spec)],
    {
      cwd: packageDirectory,
      encoding: 'utf8',
    },
  )
  expect(result.stderr).toBe('')
  expect(result.stdout).toMatch(/^late\n/)
  const flags = Number.parseInt(/flags:\s*(\d+)/.exec(result.stdout)?.[1] ?? '', 8)
  expect(flags & 0o4000).toBe(0)
})

test('another user inside can open /dev/stdout', async (context) => {
  requires(context, 'subuid', idMapping.kind !== 'single', 'this user has one id only')
  const logPath = join(temporaryDirectory(), 'log')
  for (const monitor of [{}, { logPath }]) {
    const { stdout } = await runSpec(
      shell('echo x > /dev/stdout', { monitor, process: { uid: 33, gid: 33 } }),
    )
    expect(stdout).toBe('x\n')
  }
})

test('what a program leaves unread does not hold up its end', async () => {
  const child = await launch(shell('exit 0'), { stdio: ['pipe', 'ignore', 'ignore'] })
  expect(await child.wait()).toMatchObject({ exitCode: 0 })
  child.stdin?.destroy()
})
