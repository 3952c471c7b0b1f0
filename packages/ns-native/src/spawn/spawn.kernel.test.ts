import { type ChildProcess, spawn as spawnChild } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { inspect } from 'node:util'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { afterAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { AbortError } from './abort-error.ts'
import type { SandboxProcess } from './sandbox-process.ts'
import { spawn } from './spawn.ts'
import type { SpawnOptions } from './spawn-options.ts'

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

/** Run a shell script with `child_process`'s three arguments. */
function shell(script: string, options: SpawnOptions = {}): SandboxProcess {
  return spawn('/bin/sh', ['-c', script], options)
}

// what spawn makes it makes in the temporary directory: one that is ours, so that nothing else is in it
const temporary = mkdtempSync(join(tmpdir(), 'cromwell-spawn-'))
process.env['TMPDIR'] = temporary
afterAll(() => rmSync(temporary, { recursive: true, force: true }))
const leftovers = () => readdirSync(temporary)

describe('events are those of child_process, in its order', () => {
  /** Everything that happens, in order, as text. */
  async function history(child: ChildProcess | SandboxProcess): Promise<string[]> {
    const seen: string[] = []
    const ended: boolean[] = []
    // the two have these events in common, which their types do not say
    const emitter = child as ChildProcess
    emitter.on('spawn', () => seen.push('spawn'))
    emitter.on('error', (error: Error & { code?: string }) => seen.push(`error ${error.name}`))
    emitter.on('exit', (code, signal) => seen.push(`exit ${code} ${signal}`))
    emitter.on('close', (code, signal) => seen.push(`close ${code} ${signal}`))
    emitter.stdout?.on('data', (chunk) => seen.push(`data ${chunk}`))
    emitter.stdout?.on('end', () => ended.push(!seen.some((line) => line.startsWith('close'))))
    await once(emitter, 'close').catch(() => once(emitter, 'close'))
    // whether the end of the output or of the process is seen first is chance, in Node as here
    expect(ended).toEqual([true])
    return seen
  }

  const cases: [string, string, string[]][] = [
    ['a program that prints', '/bin/sh', ['-c', 'echo hello; sleep 0.1']],
    ['a program that fails', '/bin/sh', ['-c', 'exit 3']],
    ['a program that kills itself', '/bin/sh', ['-c', 'kill -TERM $$']],
  ]
  test.each(cases)('%s', async (_what, file, args) => {
    expect(await history(spawn(file, args))).toEqual(await history(spawnChild(file, args)))
  })

  test('a program that does not exist', async () => {
    const theirs = await history(spawnChild('/nonexistent'))
    const ours = await history(spawn('/nonexistent'))
    const nameless = (seen: string[]) => seen.map((line) => line.replace(/^error .*/, 'error'))
    expect(nameless(ours)).toEqual(nameless(theirs))
  })

  test('a program that is killed', async () => {
    const killed = async (child: ChildProcess | SandboxProcess) => {
      child.stdout?.once('data', () => child.kill())
      return history(child)
    }
    const script = ['-c', 'echo ready; while :; do sleep 0.01; done']
    const ours = await killed(spawn('/bin/sh', script))
    expect(ours).toEqual(await killed(spawnChild('/bin/sh', script)))
  })

  test('a program that is aborted', async () => {
    const aborted = async (start: (signal: AbortSignal) => ChildProcess | SandboxProcess) => {
      const controller = new AbortController()
      const child = start(controller.signal)
      child.stdout?.once('data', () => controller.abort())
      return history(child)
    }
    const script = ['-c', 'echo ready; while :; do sleep 0.01; done']
    const ours = await aborted((signal) => spawn('/bin/sh', script, { signal }))
    const theirs = await aborted((signal) =>
      spawnChild('/bin/sh', script, { signal, killSignal: 'SIGKILL' }),
    )
    expect(ours).toEqual(theirs)
  })
})

test('streams are there at once, and carry bytes both ways', async () => {
  const child = spawn('cat')
  child.stdin?.end('hello')
  expect(await text(child.stdout ?? Readable.from([]))).toBe('hello')
  expect(await child.result).toMatchObject({ ok: true, exitCode: 0, signal: null, reason: 'exit' })
})

test('the pid is there from spawn on, is the host’s, and takes signals', async () => {
  const child = shell('trap "exit 5" USR1; echo ready; while :; do sleep 0.01; done')
  expect(child.pid).toBeUndefined()
  await child.spawned
  await once(child.stdout ?? child, 'data')
  process.kill(child.pid ?? 0, 'SIGUSR1')
  expect(await child.result).toMatchObject({ exitCode: 5 })
})

test('kill before the program runs waits for it; SIGKILL does not', async () => {
  const polite = shell('sleep 100')
  expect(polite.kill('SIGTERM')).toBe(true)
  expect(polite.killed).toBe(true)
  expect(await polite.result).toMatchObject({ signal: 'SIGTERM', reason: 'signal', ok: false })
  expect([polite.exitCode, polite.signalCode]).toEqual([null, 'SIGTERM'])
  const rude = shell('sleep 100')
  rude.kill('SIGKILL')
  expect(await rude.result).toMatchObject({ signal: 'SIGKILL', reason: 'signal' })
  expect(rude.kill()).toBe(false)
})

test('an AbortSignal that has fired already starts nothing that stays', async () => {
  const child = shell('sleep 100', { signal: AbortSignal.abort('enough') })
  expect(await child.result).toMatchObject({ reason: 'abort', signal: 'SIGKILL', ok: false })
  const error = await child.spawned.catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(AbortError)
  expect(error).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: 'enough' })
})

test('an AbortSignal ends the program, and the result says that it was that', async () => {
  const controller = new AbortController()
  const child = shell('trap "" TERM; echo ready; sleep 100', { signal: controller.signal })
  child.stdout?.once('data', () => controller.abort())
  expect(await child.result).toMatchObject({ reason: 'abort', signal: 'SIGKILL' })
})

test('close comes after all output, however slowly it is read', async () => {
  const child = shell('head -c 3000000 /dev/zero')
  let bytes = 0
  child.on('close', () => expect(bytes).toBe(3_000_000))
  await once(child, 'spawn')
  for await (const chunk of child.stdout ?? []) {
    bytes += chunk.length
    if (bytes < 1_000_000) await delay(1)
  }
  await child.result
  expect(bytes).toBe(3_000_000)
})

test('output that nobody reads does not keep close from coming', async () => {
  expect(await shell('echo lost').result).toMatchObject({ exitCode: 0, stdout: '' })
})

test('a result has the output where it is collected, and says when there was more', async () => {
  const { result } = shell('echo out; echo wrong >&2; head -c 100000 /dev/zero | tr "\\0" x', {
    collectBytes: 10,
  })
  expect(await result).toMatchObject({
    stdout: 'out\nxxxxxx',
    stderr: 'wrong\n',
    truncated: true,
    exitCode: 0,
  })
})

test('stdio takes the words of child_process', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'cromwell-spawn-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const fd = openSync(join(directory, 'out'), 'w')
  const child = shell('read line; echo "got <$line>"', { stdio: ['ignore', { fd }, null] })
  closeSync(fd)
  expect([child.stdin, child.stdout]).toEqual([null, null])
  expect(child.stdio[2]).not.toBeNull()
  await child.result
  expect(readFileSync(join(directory, 'out'), 'utf8')).toBe('got <>\n')
})

test('further descriptors are passed by their place in stdio', async () => {
  const path = join(temporary, 'further')
  const fd = openSync(path, 'w')
  const child = shell('echo three >&3; echo five >&5', {
    stdio: ['ignore', 'ignore', 'inherit', fd, 'ignore', fd],
  })
  closeSync(fd)
  await child.result
  expect(readFileSync(path, 'utf8')).toBe('three\nfive\n')
  rmSync(path)
})

test('by default nothing of the caller is inside: files, environment, network, processes', async () => {
  process.env['CROMWELL_SECRET'] = 'x'
  onTestFinished(() => {
    delete process.env['CROMWELL_SECRET']
  })
  const script =
    'env | cut -d= -f1 | sort | tr "\\n" " "; ls / | tr "\\n" " "; ls /home /root 2>&1 | tr "\\n" " "; cat /proc/net/dev | tail -n +3 | cut -d: -f1; ls /proc | grep -c "^[0-9]"'
  const { stdout } = await shell(script, { collectBytes: 10_000 }).result
  expect(stdout).toMatch(/^HOME PATH PWD /)
  // where Node itself lives in a home, the way to it is there
  expect(stdout.includes('home ')).toBe(process.execPath.startsWith('/home/'))
  expect(stdout).toContain(' lo\n')
  expect(Number(stdout.trim().split('\n').at(-1))).toBeLessThan(10)
})

test('the system is there, and cannot be written to', async () => {
  const script =
    'touch /usr/x /etc/x /x /bin/x 2>&1 | grep -c "Read-only"; echo ok > /tmp/x && cat /tmp/x'
  const { stdout } = await shell(script, { collectBytes: 1000 }).result
  expect(stdout).toBe('4\nok\n')
})

test('node is the Node that runs this', async () => {
  const child = spawn('node', ['-p', 'process.version'], { collectBytes: 100 })
  expect((await child.result).stdout).toBe(`${process.version}\n`)
})

test('nothing is left behind: neither a directory nor a handle', async () => {
  const before = leftovers()
  await shell('true').result
  await spawn('/nonexistent').result.catch(() => {})
  expect(leftovers()).toEqual(before)
})

test('the error of a program that does not exist says which it is', async () => {
  await expect(spawn('nonexistent').result).rejects.toMatchObject({
    name: 'ExecError',
    code: 'ERR_NS_EXEC',
    path: 'nonexistent',
    remedy: expect.stringContaining('PATH'),
  })
})

test('a listener for error is needed exactly when no promise was asked for', async () => {
  const asked = spawn('/nonexistent')
  await expect(asked.spawned).rejects.toMatchObject({ code: 'ERR_NS_EXEC' })
  const [error] = await once(spawn('/nonexistent'), 'error').catch((reason) => [reason])
  expect(error).toMatchObject({ code: 'ERR_NS_EXEC' })
})

test('a terminal of its own can be resized', async () => {
  const script = 'stty size; trap "stty size; exit" WINCH; echo ready; while :; do sleep 0.01; done'
  const child = shell(script, { pty: { columns: 80, rows: 24 }, stdio: ['pipe', 'pipe', 'ignore'] })
  let screen = ''
  child.stdout?.on('data', (chunk) => {
    screen += chunk
    if (screen.endsWith('ready\r\n')) child.resize({ columns: 100, rows: 40 })
  })
  await child.result
  expect(screen).toBe('24 80\r\nready\r\n40 100\r\n')
})

test('disposing of it ends it', async () => {
  const child = shell('sleep 100')
  await child.spawned
  await child[Symbol.asyncDispose]()
  expect(child.signalCode).toBe('SIGKILL')
})

test('it is no thenable, and prints without undefined promises', () => {
  const child = shell('true')
  expect('then' in child).toBe(false)
  expect(inspect(child)).toContain('SandboxProcess')
  return child.result
})

test('options that do not exist are refused, not passed over', () => {
  const misspelt = { namespace: { network: 'new' } } as SpawnOptions
  expect(() => spawn('true', [], misspelt)).toThrow(
    expect.objectContaining({ name: 'PolicyError', pointer: '/namespace' }),
  )
  const extra = { stdio: ['pipe', 'pipe', 'pipe', 'ipc'] } as unknown as SpawnOptions
  expect(() => spawn('true', [], { stdio: [0, 1, 2, 'pipe'] })).toThrow(
    expect.objectContaining({ pointer: '/stdio/3' }),
  )
  expect(() => spawn('true', [], extra)).toThrow(expect.objectContaining({ pointer: '/stdio/3' }))
  expect(() => spawn('true', [], { umask: -1 })).toThrow(
    expect.objectContaining({ name: 'PolicyError', pointer: '/process/umask' }),
  )
  expect(leftovers()).toEqual([])
})
