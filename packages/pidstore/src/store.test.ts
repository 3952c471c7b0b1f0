import { spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { requires } from '@cromwell/test-support'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { formatRecord } from './record.ts'
import { NOBODY, SimulatedHost } from './simulated-host.test.fixture.ts'
import { openPidStore, type PidStore } from './store.ts'

let directory: string
let store: PidStore

beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), 'pidstore-')), 'pids')
  store = openPidStore(directory)
})

afterEach(() => {
  rmSync(join(directory, '..'), { recursive: true, force: true })
})

/** Puts the record of a process that never lived into the store, as if it had died long ago. */
async function createExited(id: string): Promise<void> {
  const record = await store.create(id, { pid: process.pid })
  writeFileSync(join(directory, `${id}.pid`), formatRecord({ ...record, startTime: 1 }))
}

function withCode(code: string) {
  return expect.objectContaining({ name: 'PidstoreError', code })
}

describe('remove', () => {
  it('forgets an id, and does nothing the second time', async () => {
    await store.create('web', { pid: process.pid })
    await store.remove('web')
    await store.remove('web')
    expect(await store.get('web')).toBeUndefined()
    expect(readdirSync(directory)).toEqual([])
  })

  it('removes a symbolic link, not what it points to', async () => {
    await store.create('web', { pid: process.pid })
    symlinkSync(join(directory, 'web.pid'), join(directory, 'link.pid'))
    await store.remove('link')
    expect(readdirSync(directory)).toEqual(['web.pid'])
  })

  it('says that it cannot remove a directory', async () => {
    mkdirSync(join(directory, 'web.pid'), { recursive: true })
    await expect(store.remove('web')).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_PIDSTORE_WRITE', step: 'unlink' }),
    )
  })
})

describe('signal', () => {
  it('reaches the recorded process', async () => {
    const child = spawn('sleep', ['60'])
    try {
      await store.create('web', { pid: child.pid ?? 0 })
      expect(await store.signal('web', 'SIGTERM')).toBe(true)
      await expect.poll(() => child.signalCode).toBe('SIGTERM')
      expect(await store.get('web')).toMatchObject({ state: 'exited' })
      expect(await store.signal('web', 'SIGTERM')).toBe(false)
    } finally {
      child.kill('SIGKILL')
    }
  })

  it('never reaches a process that was given the pid later', async () => {
    const child = spawn('sleep', ['60'])
    try {
      const record = await store.create('web', { pid: child.pid ?? 0 })
      const recycled = { ...record, startTime: record.startTime - 1 }
      writeFileSync(join(directory, 'web.pid'), formatRecord(recycled))
      expect(await store.signal('web', 'SIGKILL')).toBe(false)
      expect(child.kill(0)).toBe(true)
      expect(child.signalCode).toBeNull()
    } finally {
      child.kill('SIGKILL')
    }
  })

  it('never reaches anybody for a file with only a pid, or an id without record', async () => {
    mkdirSync(directory)
    writeFileSync(join(directory, 'web.pid'), `${process.pid}\n`)
    expect(await store.signal('web', 'SIGKILL')).toBe(false)
    expect(await store.signal('nobody', 'SIGKILL')).toBe(false)
  })

  it('only asks with signal 0', async () => {
    await store.create('web', { pid: process.pid })
    expect(await store.signal('web', 0)).toBe(true)
  })

  it('goes through the sender it is given, which learns whom it is for', async () => {
    const sent: unknown[] = []
    const careful = openPidStore(directory, {
      kill: (pid, signal, identity) => sent.push([pid, signal, identity.startTime]),
    })
    const { startTime } = await careful.create('web', { pid: process.pid })
    expect(await careful.signal('web', 'SIGKILL')).toBe(true)
    expect(sent).toEqual([[process.pid, 'SIGKILL', startTime]])
  })

  it('is false, not an error, when the process ends before the sender reaches it', async () => {
    const late = openPidStore(directory, {
      kill: () => {
        throw Object.assign(new Error('kill ESRCH'), { code: 'ESRCH' })
      },
    })
    await late.create('web', { pid: process.pid })
    expect(await late.signal('web', 'SIGTERM')).toBe(false)
  })

  it('says that a signal does not exist', async () => {
    await store.create('web', { pid: process.pid })
    await expect(store.signal('web', 999)).rejects.toThrow(withCode('ERR_PIDSTORE_SIGNAL'))
  })

  it('says that the process belongs to somebody else', async (context) => {
    requires(context, 'plain-user', process.geteuid?.() !== 0, 'root may signal everybody')
    await store.create('init', { pid: 1 })
    await expect(store.signal('init', 'SIGTERM')).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_PIDSTORE_SIGNAL', pid: 1 }),
    )
  })
})

describe('a store on another machine or boot', () => {
  it('after a reboot, lists what ran as exited, and gives its ids away', async () => {
    using host = new SimulatedHost()
    host.start(NOBODY, { startTime: 500 })
    await openPidStore(directory, host.options).create('web', { pid: NOBODY })
    host.set({ bootId: '22222222-2222-4222-8222-222222222222' })
    const rebooted = openPidStore(directory, host.options)
    expect(await rebooted.get('web')).toMatchObject({ state: 'exited' })
    expect(await rebooted.signal('web', 'SIGKILL')).toBe(false)
    await rebooted.create('web', { pid: NOBODY })
    expect(await rebooted.get('web')).toMatchObject({ state: 'running' })
  })

  it('on a shared home, neither signals nor sweeps nor replaces what runs elsewhere', async () => {
    using here = new SimulatedHost()
    using there = new SimulatedHost({
      bootId: '22222222-2222-4222-8222-222222222222',
      hostname: 'host-b',
    })
    here.start(NOBODY, { startTime: 500 })
    there.start(NOBODY, { startTime: 500 })
    await openPidStore(directory, here.options).create('web', { pid: NOBODY })
    const remote = openPidStore(directory, there.options)
    expect(await remote.get('web')).toMatchObject({ state: 'elsewhere' })
    expect(await remote.signal('web', 'SIGKILL')).toBe(false)
    expect(await remote.sweep()).toEqual([])
    await expect(remote.create('web', { pid: NOBODY })).rejects.toThrow(
      withCode('ERR_PIDSTORE_EXISTS'),
    )
    await remote.remove('web')
    expect(await remote.list()).toEqual([])
  })
})

describe('sweep', () => {
  it('removes the exited records and no others', async () => {
    await createExited('dead')
    await store.create('alive', { pid: process.pid })
    writeFileSync(join(directory, 'plain.pid'), '4242')
    expect(await store.sweep()).toEqual(['dead'])
    expect(readdirSync(directory).sort()).toEqual(['alive.pid', 'plain.pid'])
  })

  it('does nothing where there is no directory', async () => {
    expect(await store.sweep()).toEqual([])
    expect(existsSync(directory)).toBe(false)
  })
})
