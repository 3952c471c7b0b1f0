import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { containerSpec, eventually, isAlive, nodeProgram } from './container.test.fixture.ts'
import { launch } from './launch.ts'
import type { LaunchSpec } from './launch-spec.ts'

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

const packageDirectory = fileURLToPath(new URL('..', import.meta.url))
const silent = { stdio: ['ignore', 'ignore', 'ignore'] } as const

/** A worker that launches what it is given, tells the pids, and does `next`. */
const WORKER = `
const { parentPort, workerData } = require('node:worker_threads')
import(workerData.url).then(async ({ launch }) => {
  const { specs, next } = workerData
  const stdio = ['ignore', 'ignore', 'ignore']
  const children = await Promise.all(specs.map((spec) => launch(spec, { stdio })))
  parentPort.postMessage(children.map(({ pid, monitorPid }) => ({ pid, monitorPid })))
  if (next === 'end') for (const child of children) child.unref()
  if (next === 'wait') parentPort.postMessage(await Promise.all(children.map((child) => child.wait())))
  if (next === 'kill') await new Promise((go) => parentPort.once('message', go))
  if (next === 'kill') for (const child of children) child.kill('SIGKILL')
  if (next === 'kill') parentPort.postMessage(await Promise.all(children.map((child) => child.wait())))
})
`

function startWorker(specs: LaunchSpec[], next: 'end' | 'wait' | 'kill'): Worker {
  const url = new URL('../dist/index.js', import.meta.url).href
  return new Worker(WORKER, { eval: true, workerData: { url, specs, next } })
}

interface Pids {
  pid: number
  monitorPid: number
}

async function pidsOf(worker: Worker): Promise<Pids[]> {
  const [pids] = await once(worker, 'message')
  onTestFinished(() => {
    for (const { pid } of pids as Pids[]) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // has ended
      }
    }
  })
  return pids
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

test.each(['terminate', 'end'] as const)(
  'a worker’s %s does not kill what it launched, and leaves no zombie',
  async (way) => {
    const worker = startWorker([containerSpec(['sleep', '1000'])], way === 'end' ? 'end' : 'wait')
    const ended = once(worker, 'exit')
    const [{ pid, monitorPid } = { pid: 0, monitorPid: 0 }] = await pidsOf(worker)
    if (way === 'terminate') await worker.terminate()
    await ended
    await pause(100)
    expect([pid, monitorPid].map(isAlive)).toEqual([true, true])
    process.kill(pid, 'SIGKILL')
    await eventually(() => !isAlive(monitorPid))
    // the next one to start something takes its exit status
    await (await launch(containerSpec(['true']), silent)).wait()
    expect(readdirSync('/proc')).not.toContain(String(monitorPid))
  },
)

test('a launch that a terminated worker has not seen start is given up', async () => {
  const spec = containerSpec(['sleep', '1000'])
  const before = descendants()
  const worker = startWorker([spec], 'wait')
  await once(worker, 'online')
  await eventually(() => descendants().some((pid) => !before.includes(pid)))
  await worker.terminate()
  // whether it had started by then or not: with the process it would end, now it may have to be told
  for (const pid of descendants()) if (!before.includes(pid)) process.kill(pid, 'SIGTERM')
  await eventually(() => descendants().every((pid) => before.includes(pid) || !isAlive(pid)))
})

function descendants(): number[] {
  const threads = readdirSync('/proc/self/task')
  const children = threads.map((thread) =>
    readFileSync(`/proc/self/task/${thread}/children`, 'latin1'),
  )
  return children.join('').trim().split(' ').filter(Boolean).map(Number)
}

const LAUNCHER = `
import { Worker } from 'node:worker_threads'
const [code, data] = process.argv.slice(1)
const worker = new Worker(code, { eval: true, execArgv: [], workerData: JSON.parse(data) })
worker.on('message', async (pids) => {
  await worker.terminate()
  console.log(JSON.stringify(pids))
  setInterval(() => {}, 1000)
})
`

test('kill -9 of Node kills what a worker launched that is no more', async () => {
  const spec = containerSpec(['sleep', '1000'])
  const { seccomp: _, ...program } = spec.process
  const url = new URL('../dist/index.js', import.meta.url).href
  const data = { url, specs: [{ ...spec, process: program }], next: 'wait' }
  const node = spawn(process.execPath, nodeProgram(LAUNCHER, WORKER, JSON.stringify(data)), {
    cwd: packageDirectory,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => {
    node.kill('SIGKILL')
  })
  const [line] = await once(node.stdout, 'data')
  const [{ pid, monitorPid } = { pid: 0, monitorPid: 0 }]: Pids[] = JSON.parse(String(line))
  expect([pid, monitorPid].map(isAlive)).toEqual([true, true])
  node.kill('SIGKILL')
  await eventually(() => ![pid, monitorPid].some(isAlive))
})

test('fifty at once from five workers: all start, all are killed, nothing is left', async () => {
  await (await launch(containerSpec(['true']), silent)).wait() // the helper has been copied then
  const before = readdirSync('/proc/self/fd').length
  const workers = Array.from({ length: 5 }, () =>
    startWorker(
      Array.from({ length: 10 }, () => containerSpec(['sleep', '1000'])),
      'kill',
    ),
  )
  const all = await Promise.all(
    workers.map(async (worker) => {
      const exited = once(worker, 'exit')
      const pids = await pidsOf(worker)
      worker.postMessage('go')
      const [statuses] = await once(worker, 'message')
      await exited
      return { pids, statuses: statuses as { signal: string }[] }
    }),
  )
  expect(all.flatMap(({ statuses }) => statuses.map(({ signal }) => signal))).toEqual(
    Array.from({ length: 50 }, () => 'SIGKILL'),
  )
  const processes = readdirSync('/proc')
  const left = all.flatMap(({ pids }) => pids.flatMap(({ pid, monitorPid }) => [pid, monitorPid]))
  expect(left.filter((pid) => processes.includes(String(pid)))).toEqual([])
  expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before)
})
