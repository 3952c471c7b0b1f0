import { mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readProcessIdentity } from './identity.ts'
import { lockPath } from './lock.ts'
import { formatRecord } from './record.ts'
import { openPidStore } from './store.ts'
import { Worker } from './worker.test.fixture.ts'

/** Tries to create the id of each line it gets, and says whether it won. */
const CREATOR = `
  import { createInterface } from 'node:readline'
  import { openPidStore } from '@cromwell/pidstore'
  const store = openPidStore(process.argv[1])
  console.log('ready')
  for await (const id of createInterface(process.stdin)) {
    const outcome = await store.create(id, { pid: process.pid }).then(() => 'won', (e) => e.code)
    console.log(outcome)
  }`

const CREATORS = 5
const ROUNDS = 60

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pidstore-race-'))
})

afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

/** What a round starts from: nothing, a dead record, and dead locks of several depths beside it. */
function leaveBehind(id: string, round: number): void {
  const self = readProcessIdentity(process.pid)
  if (self === undefined) throw new Error('this process exists')
  const dead = { ...self, startTime: 1 }
  const depth = round % 4
  if (depth > 0) writeFileSync(join(directory, `${id}.pid`), formatRecord({ id, ...dead }))
  let name = id
  for (let level = 1; level < depth; level++) {
    const lockId = `${String(round).padStart(8, '0')}-0000-4000-8000-00000000000${level}`
    symlinkSync(formatRecord({ id: lockId, ...dead }), lockPath(directory, name))
    name = `~${lockId}`
  }
}

describe(`${CREATORS} processes that create the same id at the same time`, () => {
  it(`have exactly one winner, ${ROUNDS} times in a row, whatever dead ones left behind`, async () => {
    const workers = Array.from({ length: CREATORS }, () => new Worker(CREATOR, directory))
    try {
      for (const worker of workers) expect(await worker.line()).toBe('ready')
      const store = openPidStore(directory)
      for (let round = 0; round < ROUNDS; round++) {
        const id = `round-${round}`
        leaveBehind(id, round)
        for (const worker of workers) worker.send(id)
        const outcomes = await Promise.all(workers.map((worker) => worker.line()))
        const winners = workers.filter((_, index) => outcomes[index] === 'won')
        const losers = outcomes.filter((outcome) => outcome === 'ERR_PIDSTORE_EXISTS')
        expect({ winners: winners.length, losers: losers.length }).toEqual({
          winners: 1,
          losers: CREATORS - 1,
        })
        expect(store.getSync(id)).toMatchObject({
          state: 'running',
          record: { pid: winners[0]?.process.pid },
        })
      }
      expect(readdirSync(directory).filter((name) => name.startsWith('.'))).toEqual([])
    } finally {
      for (const worker of workers) await worker[Symbol.asyncDispose]()
    }
  })
})
