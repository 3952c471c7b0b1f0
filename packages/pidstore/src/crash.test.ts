import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { formatRecord } from './record.ts'
import { openPidStore, type PidStore } from './store.ts'
import { Worker } from './worker.test.fixture.ts'

let directory: string
let store: PidStore

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pidstore-crash-'))
  store = openPidStore(directory)
})

afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

/** Creates and removes records of its parent, which outlives it, for ever. */
const RESTLESS = `
  import { openPidStore } from '@cromwell/pidstore'
  const store = openPidStore(process.argv[1])
  console.log('ready')
  for (;;) {
    await store.create('web', { pid: process.ppid })
    await store.create('own', { pid: process.pid })
    await store.remove('web')
    await store.remove('own')
  }`

/**
 * Takes over the id "web" and kills itself just before, or just after, the nth call into node:fs:
 * every instant that another process could tell from the next.
 */
const SUICIDAL = `
  import fs from 'node:fs'
  import { syncBuiltinESMExports } from 'node:module'
  const [directory, nth, when] = process.argv.slice(1)
  let calls = -Infinity
  for (const name of Object.keys(fs)) {
    const original = fs[name]
    if (typeof original !== 'function' || !/^[a-z]/.test(name)) continue
    fs[name] = (...args) => {
      calls++
      if (when === 'before' && calls === Number(nth)) process.kill(process.pid, 'SIGKILL')
      try {
        return original(...args)
      } finally {
        if (when === 'after' && calls === Number(nth)) process.kill(process.pid, 'SIGKILL')
      }
    }
  }
  syncBuiltinESMExports()
  const { openPidStore } = await import('@cromwell/pidstore')
  const store = openPidStore(directory)
  calls = 0
  await store.create('web', { pid: process.ppid })
  calls = -Infinity
  console.log('survived')`

/** After a crash: "web" is as before or as it should become, and the next creator finds no obstacle. */
async function expectOldOrNew(old: string): Promise<string> {
  const states = store.listSync().map(({ id, state }) => `${id} ${state}`)
  const web = states.find((state) => state.startsWith('web ')) ?? 'web absent'
  expect([old, 'web running']).toContain(web)
  expect(states.filter((state) => state.endsWith('corrupt'))).toEqual([])
  await store.create('next', { pid: process.pid })
  await store.remove('next')
  expect(readdirSync(directory).filter((name) => name.startsWith('.'))).toEqual([])
  if (web !== 'web running') await store.create('web', { pid: process.pid })
  await store.remove('web')
  return web
}

describe('a writer that is killed', () => {
  it('before or after any of its calls leaves the old state or the new', {
    timeout: 60_000,
  }, async () => {
    const seen = new Set<string>()
    const died = { before: 0, after: 0 }
    for (const when of ['before', 'after'] as const) {
      for (let nth = 1, killed = true; killed; nth++) {
        const record = await store.create('web', { pid: process.pid })
        writeFileSync(join(directory, 'web.pid'), formatRecord({ ...record, startTime: 1 }))
        await using worker = new Worker(SUICIDAL, directory, `${nth}`, when)
        killed = (await worker.line()) !== 'survived'
        if (killed) expect(await worker.ended()).toBe(true)
        if (killed) died[when]++
        seen.add(await expectOldOrNew('web exited'))
      }
    }
    // The lock, the temporary file and the rename were all interrupted on both sides.
    expect(died.before).toBeGreaterThan(20)
    expect(died.after).toBe(died.before)
    expect([...seen].sort()).toEqual(['web exited', 'web running'])
  })

  it('at random, again and again, leaves the old state or the new', {
    timeout: 60_000,
  }, async () => {
    for (let round = 0; round < 40; round++) {
      await using worker = new Worker(RESTLESS, directory)
      expect(await worker.line()).toBe('ready')
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 25))
      worker.process.kill('SIGKILL')
      expect(await worker.ended()).toBe(true)
      await expectOldOrNew('web absent')
    }
  })
})
