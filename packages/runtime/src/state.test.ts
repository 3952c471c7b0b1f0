import { type ChildProcess, spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { openPidStore } from '@cromwell/pidstore'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { creatingName, ownIdentity } from './creating-directory.ts'
import { openRuntime, type Runtime } from './runtime.ts'

// No container is started here: what counts is what is found on disk, and whether its processes live.

let directory: string
let root: string
let pidsDir: string
let runtime: Runtime
const children: ChildProcess[] = []

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cromwell-runtime-'))
  root = join(directory, 'containers')
  pidsDir = join(directory, 'pids')
  runtime = openRuntime({ root, pidsDir })
})

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  rmSync(directory, { recursive: true, force: true })
})

test('a new runtime has no containers and makes no directories', async () => {
  expect(await runtime.list({ all: true })).toEqual([])
  expect(existsSync(root)).toBe(false)
})

test('a reserved container is being created, and a released one was never there', async () => {
  const reservation = runtime.reserve({ id: 'one', annotations: { 'org.example.a': 'b' } })
  expect(await runtime.state('one')).toMatchObject({
    id: 'one',
    status: 'creating',
    bundle: reservation.directory,
    annotations: { 'org.example.a': 'b' },
  })
  await runtime.release(reservation)
  expect(readdirSync(root)).toEqual([])
})

test('an id is given once', () => {
  runtime.reserve({ id: 'one' })
  expect(() => runtime.reserve({ id: 'one' })).toThrow(
    expect.objectContaining({ code: 'ERR_RUNTIME_EXISTS' }),
  )
  expect(readdirSync(root)).toEqual(['one'])
})

test.each(['', '.', '..', '../x', 'a/b', '.hidden', '-rf', 'a\0', 'a\n', 'x'.repeat(129)])(
  'the id %j is refused',
  async (id) => {
    const refused = expect.objectContaining({ code: 'ERR_RUNTIME_ID' })
    expect(() => runtime.reserve({ id })).toThrow(refused)
    await expect(runtime.state(id)).rejects.toThrow(refused)
    await expect(runtime.delete(id)).rejects.toThrow(refused)
  },
)

test('a container whose creator died before it ever ran is swept by the next list', async () => {
  runtime.reserve({ id: 'half' })
  rewriteState('half', { creator: { ...creator('half'), startTime: 1 } })
  expect(await runtime.list({ all: true })).toEqual([])
  expect(readdirSync(root)).toEqual([])
})

test('what was abandoned while being made or removed is swept, what is in the making is not', async () => {
  mkdirSync(join(root, '.removing-x', 'upper'), { recursive: true })
  mkdirSync(join(root, 'half-removed'))
  const own = ownIdentity()
  const place = (change: object) => join(root, creatingName('x', { ...own, ...change }))
  const kept = [place({}), place({ bootId: 'f'.repeat(36) })]
  const swept = [place({ startTime: 1 }), place({ bootId: 'e'.repeat(36) })]
  for (const path of [...kept, ...swept]) mkdirSync(path)
  utimesSync(swept[1] ?? '', 0, 0)
  expect(await runtime.list({ all: true })).toEqual([])
  expect(readdirSync(root).sort()).toEqual(kept.map((path) => basename(path)).sort())
})

test('what a killed writer of a pid file left is swept', async () => {
  mkdirSync(pidsDir)
  writeFileSync(join(pidsDir, '.x.tmp'), 'half')
  await runtime.list({ all: true })
  expect(readdirSync(pidsDir)).toEqual([])
})

test('a container with a live process runs', async () => {
  const pid = await startContainer('live')
  const [state] = await runtime.list()
  expect(state).toMatchObject({ id: 'live', status: 'running', pid })
})

test('a container whose process was killed together with its monitor has stopped, exit unknown', async () => {
  await startContainer('dead')
  await killAll()
  expect(await runtime.list()).toEqual([])
  const [state] = await runtime.list({ all: true })
  expect(state).toMatchObject({ id: 'dead', status: 'stopped' })
  expect(state?.exitCode).toBeUndefined()
  expect(state?.pid).toBeUndefined()
})

test('a container from before a reboot has stopped, even if its pid is in use again', async () => {
  await startContainer('old')
  editPidFile('old', /^(boot\w*=).*$/im, '$100000000-0000-4000-8000-000000000000')
  expect(await runtime.list()).toEqual([])
  expect(await runtime.state('old')).toMatchObject({ status: 'stopped' })
})

test('a recycled pid is not the container', async () => {
  await startContainer('recycled')
  editPidFile('recycled', /^(start\w*=)\d+$/im, '$17')
  expect(await runtime.list()).toEqual([])
  expect(await runtime.state('recycled')).toMatchObject({ status: 'stopped' })
})

test('the exit record tells how a container ended', async () => {
  await startContainer('done')
  await killAll()
  writeFileSync(join(root, 'done', 'exit'), 'exit-code=7\nfinished-at=2026-01-02T03:04:05Z\n')
  expect(await runtime.state('done')).toMatchObject({
    status: 'stopped',
    exitCode: 7,
    finishedAt: '2026-01-02T03:04:05Z',
  })
})

test('one damaged file spoils one entry, never the list', async () => {
  const pid = await startContainer('good')
  await startContainer('bad-state')
  writeFileSync(join(root, 'bad-state', 'state.json'), '{"ociVersion":')
  runtime.reserve({ id: 'bad-pid' })
  writeFileSync(join(pidsDir, 'bad-pid.pid'), 'gibberish')
  writeFileSync(join(pidsDir, 'stray.pid'), '')
  mkdirSync(join(root, 'empty-state'))
  writeFileSync(join(root, 'empty-state', 'state.json'), '')

  const states = new Map((await runtime.list({ all: true })).map((state) => [state.id, state]))
  expect(states.get('good')).toMatchObject({ status: 'running', pid })
  expect(states.get('bad-state')).toMatchObject({
    status: 'running',
    corrupt: expect.stringContaining('state.json'),
  })
  expect(states.get('bad-pid')?.corrupt).toContain('bad-pid.pid')
  expect(states.get('stray')?.corrupt).toContain('stray.pid')
  const running = await runtime.list()
  expect(running.map(({ id }) => id).sort()).toEqual(['bad-state', 'good'])
  expect(states.get('empty-state')).toMatchObject({ status: 'stopped', corrupt: expect.anything() })
})

test('a container that was to vanish and did not is swept when nobody is left to do it', async () => {
  runtime.reserve({ id: 'gone', removeOnExit: true })
  await record('gone')
  rewriteState('gone', { creator: { ...creator('gone'), startTime: 1 } })
  await killAll()
  expect(await runtime.list({ all: true })).toEqual([])
  expect(readdirSync(root)).toEqual([])
  expect(readdirSync(pidsDir)).toEqual([])
})

test('only what has ended is deleted, unless forced', async () => {
  const pid = await startContainer('busy')
  await expect(runtime.delete('busy')).rejects.toThrow(
    expect.objectContaining({ code: 'ERR_RUNTIME_RUNNING' }),
  )
  await runtime.delete('busy', { force: true })
  expect(() => process.kill(pid, 0)).toThrow()
  expect(readdirSync(root)).toEqual([])
  expect(readdirSync(pidsDir)).toEqual([])
  await expect(runtime.delete('busy')).rejects.toThrow(
    expect.objectContaining({ code: 'ERR_RUNTIME_NOT_FOUND' }),
  )
})

test('only what runs is signalled', async () => {
  await startContainer('idle')
  await runtime.kill('idle', 'SIGKILL')
  await killAll()
  await expect(runtime.kill('idle', 'SIGTERM')).rejects.toThrow(
    expect.objectContaining({ code: 'ERR_RUNTIME_NOT_RUNNING' }),
  )
  await expect(runtime.kill('nobody', 'SIGTERM')).rejects.toThrow(
    expect.objectContaining({ code: 'ERR_RUNTIME_NOT_FOUND' }),
  )
})

/** A container with a process of its own and the records that a started one has. */
async function startContainer(id: string): Promise<number> {
  runtime.reserve({ id })
  rewriteState(id, { startedAt: '2026-01-01T00:00:00Z' })
  return await record(id)
}

async function record(id: string): Promise<number> {
  const child = spawn('sleep', ['1000'])
  children.push(child)
  const pid = child.pid ?? -1
  await openPidStore(pidsDir).create(id, { pid })
  return pid
}

async function killAll(): Promise<void> {
  const killed = children.splice(0).map(async (child) => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await exited
  })
  await Promise.all(killed)
}

function creator(id: string): object {
  return JSON.parse(readFileSync(join(root, id, 'state.json'), 'utf8')).creator
}

function rewriteState(id: string, change: object): void {
  const path = join(root, id, 'state.json')
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), ...change }))
}

function editPidFile(id: string, pattern: RegExp, replacement: string): void {
  const path = join(pidsDir, `${id}.pid`)
  const text = readFileSync(path, 'utf8')
  expect(text).toMatch(pattern)
  writeFileSync(path, text.replace(pattern, replacement))
}
