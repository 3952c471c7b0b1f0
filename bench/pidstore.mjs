// What `@cromwell/pidstore` costs: list() of 1,000 records, create() and remove(). Prints one table.
// Usage: node bench/pidstore.mjs   (after the packages were built)
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { openPidStore } from '../packages/pidstore/dist/index.js'

const RECORDS = 1000
const LISTS = 50
const FRESH = 15
const CREATES = 200
const SLEEPERS = 8

const directory = mkdtempSync(join(tmpdir(), 'bench-pidstore-'))
const sleepers = Array.from({ length: SLEEPERS }, () => spawn('sleep', ['600']))
try {
  const live = join(directory, 'live')
  const dead = join(directory, 'dead')
  const recycled = join(directory, 'recycled')
  await fill(live, (text) => text)
  // A start time that nobody has: the pid belongs to a later process.
  await fill(recycled, (text) => text.replace(/^startTime=.*$/m, 'startTime=1'))
  // A pid that no kernel gives out: nobody has it.
  await fill(dead, (text) => text.replace(/^\d+/, '4194304'))

  const rows = [
    ['list(), 1,000 running', ...measure(LISTS, () => expectState(live, 'running'))],
    ['list(), 1,000 exited (no such pid)', ...measure(LISTS, () => expectState(dead, 'exited'))],
    [
      'list(), 1,000 exited (pid recycled)',
      ...measure(LISTS, () => expectState(recycled, 'exited')),
    ],
    ['the first, with the import, 1,000 running', ...measureFresh(live)],
    ...(await measureChanges(join(directory, 'changes'))),
  ]
  console.log(`node ${process.version}, ${cpus()[0]?.model.trim()}, ${cpus().length} cores`)
  for (const [what, median, slowest] of rows) {
    const [m, s] = [median, slowest].map((ms) => ms.toFixed(2).padStart(8))
    console.log(`${what.padEnd(42)} median ${m} ms   p95 ${s} ms`)
  }
} finally {
  for (const sleeper of sleepers) sleeper.kill('SIGKILL')
  rmSync(directory, { recursive: true, force: true })
}

/** A store of RECORDS records of the sleepers, each edited; only one is really created, the rest are its copies. */
async function fill(store, edit) {
  for (const [index, { pid }] of sleepers.entries()) {
    await openPidStore(store).create(`model-${index}`, { pid })
    const model = readFileSync(join(store, `model-${index}.pid`), 'latin1')
    for (let copy = index; copy < RECORDS; copy += SLEEPERS) {
      const id = `${String(copy).padStart(4, '0')}${'0123456789abcdef'.repeat(4).slice(4)}`
      writeFileSync(join(store, `${id}.pid`), edit(model.replace(/^id=.*$/m, `id=${id}`)))
    }
    await openPidStore(store).remove(`model-${index}`)
  }
}

function expectState(store, state) {
  // A store opened anew each time, as `ps` does: reading the boot id and the like is included.
  const entries = openPidStore(store).listSync()
  if (entries.length !== RECORDS) throw new Error(`${entries.length} entries`)
  for (const entry of entries)
    if (entry.state !== state) throw new Error(`${entry.id}: ${entry.reason}`)
}

function measure(times, work) {
  for (let warm = 0; warm < 5; warm++) work()
  const durations = []
  for (let i = 0; i < times; i++) {
    const start = performance.now()
    work()
    durations.push(performance.now() - start)
  }
  return summarize(durations)
}

/** Import and first list() of a new Node process, which is what `ps` pays. */
function measureFresh(store) {
  const program = `
    const start = performance.now()
    const { openPidStore } = await import('./packages/pidstore/dist/index.js')
    openPidStore(process.argv[1]).listSync()
    console.log(performance.now() - start)`
  const cwd = join(import.meta.dirname, '..')
  const run = () =>
    Number(execFileSync(process.execPath, ['--input-type=module', '-e', program, store], { cwd }))
  return summarize(Array.from({ length: FRESH }, run))
}

async function measureChanges(path) {
  const store = openPidStore(path)
  const creates = []
  const removes = []
  for (let i = 0; i < CREATES; i++) {
    const start = performance.now()
    await store.create(`id-${i}`, { pid: sleepers[0].pid })
    const created = performance.now()
    await store.remove(`id-${i}`)
    creates.push(created - start)
    removes.push(performance.now() - created)
  }
  return [
    ['create(), with both fsyncs', ...summarize(creates)],
    ['remove()', ...summarize(removes)],
  ]
}

function summarize(durations) {
  const sorted = durations.toSorted((a, b) => a - b)
  return [sorted[sorted.length >> 1], sorted[Math.floor(sorted.length * 0.95)]]
}
