import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readHost } from './host.ts'
import { readProcessIdentity } from './identity.ts'
import { type Lock, lockPath, tryLock } from './lock.ts'
import { formatRecord } from './record.ts'
import { openPidStore } from './store.ts'

let directory: string
const host = readHost()
const DEAD = '00000000-0000-4000-8000-00000000000'

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pidstore-lock-'))
})

afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

function lock(name: string) {
  return tryLock({ directory, host: () => host }, name)
}

function lockOrThrow(name: string): Lock {
  const outcome = lock(name)
  if ('holder' in outcome) throw new Error(`held by ${outcome.holder}`)
  return outcome
}

/** A lock as a killed process leaves it; returns the id that its breaker's lock is named after. */
function leaveLock(name: string, id: string, change = {}): string {
  const self = readProcessIdentity(process.pid)
  if (self === undefined) throw new Error('this process exists')
  symlinkSync(formatRecord({ id, ...self, startTime: 1, ...change }), lockPath(directory, name))
  return id
}

describe('a lock', () => {
  it('is held by one at a time', () => {
    const first = lockOrThrow('web')
    expect(lock('web')).toEqual({ holder: `process ${process.pid}` })
    first.release()
    lockOrThrow('web').release()
    expect(readdirSync(directory)).toEqual([])
  })

  it('of a dead holder is taken over', () => {
    leaveLock('web', `${DEAD}1`)
    lockOrThrow('web').release()
    expect(readdirSync(directory)).toEqual([])
  })

  it('is taken over even if the breakers of the lock died too', () => {
    leaveLock(`~${leaveLock(`~${leaveLock('web', `${DEAD}1`)}`, `${DEAD}2`)}`, `${DEAD}3`)
    lockOrThrow('web').release()
    expect(readdirSync(directory)).toEqual([])
  })

  it('is not taken over while a live process is breaking it', () => {
    lockOrThrow(`~${leaveLock('web', `${DEAD}1`)}`)
    expect(lock('web')).toHaveProperty('holder')
    expect(readdirSync(directory)).toHaveLength(2)
  })

  it('of a holder that cannot be judged from here is left alone', () => {
    leaveLock('web', `${DEAD}1`, { pidNamespace: 1 })
    expect(lock('web')).toHaveProperty('holder')
  })

  it.each(['text', 'link', 'directory'])('that is some other %s is left alone', (kind) => {
    const path = lockPath(directory, 'web')
    if (kind === 'text') writeFileSync(path, 'mine')
    if (kind === 'link') symlinkSync('mine', path)
    if (kind === 'directory') mkdirSync(path)
    expect(lock('web')).toEqual({ holder: `whoever made ${path}` })
  })
})

describe('a store', () => {
  it('gives up on an id that another writer does not let go of, and says how to help', async () => {
    const store = openPidStore(directory, { lockTimeoutMs: 20 })
    lockOrThrow('web')
    await expect(store.create('web', { pid: process.pid })).rejects.toThrow(
      expect.objectContaining({
        code: 'ERR_PIDSTORE_BUSY',
        path: lockPath(directory, 'web'),
        hint: expect.any(String),
      }),
    )
    await store.create('db', { pid: process.pid })
  })

  it('sweeps the locks and temporary files of dead writers whenever it creates a record', async () => {
    leaveLock('web', `${DEAD}1`)
    writeFileSync(join(directory, '.web.tmp'), 'half a rec')
    writeFileSync(join(directory, '.db.tmp'), '')
    leaveLock(`~${DEAD}7`, `${DEAD}8`)
    lockOrThrow('busy')
    writeFileSync(join(directory, '.busy.tmp'), '')
    writeFileSync(join(directory, '.editor.swp'), 'not ours')
    await openPidStore(directory).create('other', { pid: process.pid })
    expect(readdirSync(directory).sort()).toEqual([
      '.busy.lock',
      '.busy.tmp',
      '.editor.swp',
      'other.pid',
    ])
  })
})
