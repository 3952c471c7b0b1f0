import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { createTestEngine, type TestEngine } from './engine.test.fixture.ts'
import { hostImage, hostLayer } from './host-image.test.fixture.ts'

let t: TestEngine
let image: string

beforeAll(async () => {
  t = await createTestEngine()
  image = t.serve('test/base:1', hostImage(hostLayer(), { config: { StopSignal: 'SIGUSR1' } }))
  await t.engine.pull(image)
})
afterEach(async () => {
  for (const { id } of await t.engine.list({ all: true })) {
    await t.engine.remove(id, { force: true })
  }
  await t.engine.list({ all: true })
  expect(t.leftovers()).toEqual([])
})
afterAll(() => t.close())

const sh = (script: string) => ['sh', '-c', script]
const sleep = ['sleep', '600']

test('a running container is listed with all that ps shows', async () => {
  const { id, pid } = await t.engine.run({ image, name: 'web', command: sleep, detached: true })
  const [summary] = await t.engine.list()
  expect(summary).toMatchObject({
    id,
    pid,
    name: 'web',
    image,
    imageId: expect.stringMatching(/^sha256:/),
    command: sleep,
    state: 'running',
  })
  expect(Date.now() - (summary?.createdAt.getTime() ?? 0)).toBeLessThan(30_000)
})

test('what has ended is listed with all, with its exit code, until it is removed', async () => {
  const first = await t.engine.run({ image, command: sh('exit 7') })
  expect((await first.wait()).exitCode).toBe(7)
  const second = await t.engine.run({ image, command: sh('kill -9 $$') })
  expect(await second.wait()).toMatchObject({ exitCode: 137, signal: 'SIGKILL' })
  expect(await t.engine.list()).toEqual([])
  const all = await t.engine.list({ all: true })
  expect(all.map(({ id, state, exitCode }) => ({ id, state, exitCode }))).toEqual([
    { id: second.id, state: 'stopped', exitCode: 137 },
    { id: first.id, state: 'stopped', exitCode: 7 },
  ])
  expect(all[0]?.finishedAt).toBeInstanceOf(Date)
  await t.engine.remove(first.name)
  await t.engine.remove(second.id.slice(0, 12))
})

test('stop sends the image’s stop signal first, and kills what does not listen', async () => {
  const trap = sh('trap "exit 5" USR1; while :; do sleep 0.05; done')
  const polite = await t.engine.run({ image, command: trap })
  await delay(100)
  await t.engine.stop(polite.name)
  expect((await polite.wait()).exitCode).toBe(5)

  const deaf = await t.engine.run({
    image,
    command: sh('trap "" USR1; while :; do sleep 0.05; done'),
  })
  await delay(100)
  await t.engine.stop(deaf.id, { timeoutMs: 100 })
  expect((await deaf.wait()).exitCode).toBe(137)
  await t.engine.stop(deaf.id)
})

test('a running container is removed only by force', async () => {
  const { id } = await t.engine.run({ image, command: sleep, detached: true })
  await expect(t.engine.remove(id)).rejects.toMatchObject({ code: 'ERR_RUNTIME_RUNNING' })
  await t.engine.remove(id, { force: true })
  await expect(t.engine.remove(id)).rejects.toMatchObject({
    code: 'ERR_ENGINE_CONTAINER_NOT_FOUND',
  })
})

test('what a container wrote is in its log, and can be followed to the end', async () => {
  const script = 'echo one; echo two >&2; sleep 0.3; printf three'
  const { id } = await t.engine.run({ image, command: sh(script), detached: true })
  const entries = []
  for await (const { stream, content } of t.engine.logs(id, { follow: true })) {
    entries.push([stream, `${content}`])
  }
  expect(entries.filter(([stream]) => stream === 'stdout').flat()).toEqual(
    expect.arrayContaining(['one\n', 'three']),
  )
  expect(entries).toContainEqual(['stderr', 'two\n'])
})

test('a container that keeps no log says so', async () => {
  const container = await t.engine.run({ image, command: sleep, removeOnExit: true })
  const reading = t.engine.logs(container.id).next()
  await expect(reading).rejects.toMatchObject({ code: 'ERR_ENGINE_NO_LOG' })
})

test('files of all the container’s users are removed with it', async () => {
  const script = 'mkdir -p /a/b; touch /a/b/c; chmod 0 /a/b /a; id >/dev/null'
  const container = await t.engine.run({ image, command: sh(script) })
  await container.wait()
  await t.engine.remove(container.id)
})

test('after kill -9 of the monitor the container is dead and known to be', async () => {
  const container = await t.engine.run({ image, command: sleep, detached: true })
  process.kill(parentOf(container.pid), 'SIGKILL')
  await expect(container.wait()).rejects.toMatchObject({ code: 'ERR_NS_MONITOR_LOST' })
  await until(() => !isAlive(container.pid))
  expect(await t.engine.list()).toEqual([])
  const [summary] = await t.engine.list({ all: true })
  expect(summary).toMatchObject({ id: container.id, state: 'stopped' })
  expect(summary).not.toHaveProperty('exitCode')
})

test('after kill -9 of the monitor a container that removes itself is gone with the next list', async () => {
  const started = { command: sleep, detached: true, removeOnExit: true }
  const { pid, died } = await runInOwnProcess(started)
  await died // who made it would remove it, too
  process.kill(parentOf(pid), 'SIGKILL')
  await until(() => !isAlive(pid))
  expect(await t.engine.list({ all: true })).toEqual([])
})

test('a detached container outlives the process that started it', async () => {
  const { id, pid, died } = await runInOwnProcess({ command: sleep, detached: true })
  await died
  expect(isAlive(pid)).toBe(true)
  expect((await t.engine.list()).map((summary) => summary.id)).toEqual([id])
})

test('any other dies with it, even by kill -9, and removes itself if it was to', async () => {
  const { pid, kill, died } = await runInOwnProcess({ command: sleep, removeOnExit: true })
  kill()
  await died
  await until(() => !isAlive(pid))
  await until(() => t.leftovers().length === 0)
})

test('a detached container that removes itself leaves nothing, however short it ran', async () => {
  for (let i = 0; i < 5; i++) {
    await t.engine.run({ image, command: ['true'], detached: true, removeOnExit: true })
  }
  await until(() => t.leftovers().length === 0)
})

test('many containers at once have different ids, names and directories', async () => {
  const runs = Array.from({ length: 8 }, (_, i) => t.run({ image, command: sh(`echo ${i}`) }))
  const outputs = await Promise.all(runs)
  expect(outputs.map(({ stdout }) => stdout)).toEqual(outputs.map((_, i) => `${i}\n`))
})

test('a container that was being made when its maker was killed is swept', async () => {
  // Every instant between nothing and a running container, as far as a kill can hit it.
  for (let ms = 0; ms < 60; ms += 6) {
    const { kill, died } = startInOwnProcess({ command: ['true'], removeOnExit: true })
    await delay(150 + ms)
    kill()
    await died
  }
  await until(async () => {
    await t.engine.list({ all: true })
    return t.leftovers().length === 0
  })
})

interface Child {
  kill(): void
  died: Promise<unknown>
  line: Promise<string>
}

function startInOwnProcess(options: object): Child {
  const program = `
    import { createEngine } from ${JSON.stringify(join(import.meta.dirname, '../dist/index.js'))}
    const engine = createEngine({ home: ${JSON.stringify(t.home)}, host: ${JSON.stringify(t.host)} })
    const { id, pid } = await engine.run(${JSON.stringify({ image, ...options })})
    process.stdout.write(JSON.stringify({ id, pid }) + '\\n')
  `
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const died = once(child, 'close')
  const line = once(child.stdout, 'data').then(([data]) => String(data))
  line.catch(() => {})
  return { kill: () => child.kill('SIGKILL'), died, line }
}

async function runInOwnProcess(options: object) {
  const child = startInOwnProcess(options)
  const { id, pid }: { id: string; pid: number } = JSON.parse(await child.line)
  return { ...child, id, pid }
}

function parentOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^PPid:\s+(\d+)$/m.exec(status)?.[1])
}

function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}`)
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; !(await condition()); i++) {
    if (i > 500) throw new Error(`still not: ${condition} ${t.leftovers().join(' ')}`)
    await delay(10)
  }
}
