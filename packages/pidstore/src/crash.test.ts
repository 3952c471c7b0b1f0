import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { formatRecord } from './record.ts'
import { openPidStore } from './store.ts'
import { Worker } from './worker.test.fixture.ts'

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pidstore-crash-'))
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
 * Takes over the id "web" and kills itself at its nth call into node:fs: between two calls nothing
 * changes that another process could see, so these are all the instants there are.
 */
const SUICIDAL = `
  import fs from 'node:fs'
  import { syncBuiltinESMExports } from 'node:module'
  const [directory, nth] = process.argv.slice(1)
  let calls = -Infinity
  for (const name of Object.keys(fs)) {
    const original = fs[name]
    if (typeof original !== 'function' || !/^[a-z]/.test(name)) continue
    fs[name] = (...args) => {
      if (++calls === Number(nth)) process.kill(process.pid, 'SIGKILL')
      return original(...args)
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
async function expectOldOrNew(directory: string, old: string): Promise<string> {
  const store = openPidStore(directory)
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

/** Kills a creator at its nth call; whether it lived to be killed, and what "web" was afterwards. */
async function killAtCall(directory: string, nth: number): Promise<{ died: boolean; web: string }> {
  const record = await openPidStore(directory).create('web', { pid: process.pid })
  writeFileSync(join(directory, 'web.pid'), formatRecord({ ...record, startTime: 1 }))
  await using worker = new Worker(SUICIDAL, directory, `${nth}`)
  const died = (await worker.line()) !== 'survived'
  if (died) expect(await worker.ended()).toBe(true)
  return { died, web: await expectOldOrNew(directory, 'web exited') }
}

describe('a writer that is killed', () => {
  it('at any call into the file system leaves the old state or the new', async () => {
    const seen: string[] = []
    // Two at a time, each in a store of its own.
    const lane = async (first: number) => {
      for (let nth = first; ; nth += 2) {
        const { died, web } = await killAtCall(join(directory, `${first}`), nth)
        if (!died) return
        seen[nth] = web
      }
    }
    await Promise.all([lane(1), lane(2)])
    const states = seen.slice(1)
    expect(states.length).toBeGreaterThan(20)
    // One instant, and no other, separates the old state from the new.
    expect(states).toEqual([...states].sort())
    expect(new Set(states)).toEqual(new Set(['web exited', 'web running']))
  })

  it('at random, again and again, leaves the old state or the new', async () => {
    for (let round = 0; round < 25; round++) {
      await using worker = new Worker(RESTLESS, directory)
      expect(await worker.line()).toBe('ready')
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 25))
      worker.process.kill('SIGKILL')
      expect(await worker.ended()).toBe(true)
      await expectOldOrNew(directory, 'web absent')
    }
  })
})
