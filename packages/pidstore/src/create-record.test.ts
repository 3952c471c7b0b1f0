import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { requires } from '@cromwell/test-support'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { formatRecord } from './record.ts'
import { NOBODY } from './simulated-host.test.fixture.ts'
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

describe('create', () => {
  it('records a running process in a file whose first line is its pid', async () => {
    const record = await store.create('web', { pid: process.pid })
    expect(record).toMatchObject({ id: 'web', pid: process.pid })
    const path = join(directory, 'web.pid')
    expect(readFileSync(path, 'utf8').split('\n')[0]).toBe(`${process.pid}`)
    expect(await store.get('web')).toEqual({ id: 'web', path, state: 'running', record })
  })

  it('makes the directory and the files for their owner alone, whatever the umask', async () => {
    const code = `
      process.umask(0o277)
      const { openPidStore } = await import('@cromwell/pidstore')
      await openPidStore(${JSON.stringify(directory)}).create('web', { pid: process.pid })`
    execFileSync(process.execPath, ['--input-type=module', '-e', code], {
      cwd: join(import.meta.dirname, '..'),
    })
    expect(statSync(directory).mode & 0o777).toBe(0o700)
    expect(statSync(join(directory, 'web.pid')).mode & 0o777).toBe(0o600)
  })

  it('leaves nothing but the record in the directory', async () => {
    await store.create('web', { pid: process.pid })
    expect(readdirSync(directory)).toEqual(['web.pid'])
  })

  it('refuses an id that a running process holds', async () => {
    const record = await store.create('web', { pid: process.pid })
    await expect(store.create('web', { pid: process.ppid })).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_PIDSTORE_EXISTS', id: 'web', pid: process.pid }),
    )
    expect(await store.get('web')).toMatchObject({ state: 'running', record })
    expect(readdirSync(directory)).toEqual(['web.pid'])
  })

  it('takes over an id whose process has exited', async () => {
    await createExited('web')
    expect((await store.get('web'))?.state).toBe('exited')
    await store.create('web', { pid: process.pid })
    expect((await store.get('web'))?.state).toBe('running')
  })

  it('lets exactly one of many creators in this process win', async () => {
    await createExited('web')
    const attempts = Array.from({ length: 20 }, () => store.create('web', { pid: process.pid }))
    const results = await Promise.allSettled(attempts)
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1)
    for (const result of results) {
      if (result.status === 'rejected')
        expect(result.reason).toEqual(withCode('ERR_PIDSTORE_EXISTS'))
    }
    expect(readdirSync(directory)).toEqual(['web.pid'])
  })

  it('does not replace what is no record, and says where it is', async () => {
    mkdirSync(directory)
    writeFileSync(join(directory, 'web.pid'), '4242')
    await expect(store.create('web', { pid: process.pid })).rejects.toThrow(
      expect.objectContaining({
        code: 'ERR_PIDSTORE_CORRUPT',
        path: join(directory, 'web.pid'),
        hint: expect.any(String),
      }),
    )
    expect(readFileSync(join(directory, 'web.pid'), 'utf8')).toBe('4242')
  })

  it('refuses a pid that no process has', async () => {
    await expect(store.create('web', { pid: NOBODY })).rejects.toThrow(
      withCode('ERR_PIDSTORE_NO_PROCESS'),
    )
    expect(existsSync(directory)).toBe(false)
  })

  it.each([0, -1, 1.5, Number.NaN, 2 ** 31])('refuses the pid %s', async (pid) => {
    await expect(store.create('web', { pid })).rejects.toThrow(withCode('ERR_PIDSTORE_INVALID_PID'))
  })

  it('says which step failed where the directory cannot be made', async () => {
    writeFileSync(directory, 'a file is in the way')
    await expect(store.create('web', { pid: process.pid })).rejects.toThrow(
      expect.objectContaining({
        code: 'ERR_PIDSTORE_WRITE',
        step: 'mkdir',
        path: directory,
        cause: expect.objectContaining({ code: 'EEXIST' }),
      }),
    )
  })

  it('says what to do where the directory may not be written to', async (context) => {
    requires(context, 'plain-user', process.geteuid?.() !== 0, 'root may write everywhere')
    mkdirSync(directory, { mode: 0o500 })
    await expect(store.create('web', { pid: process.pid })).rejects.toThrow(
      expect.objectContaining({
        code: 'ERR_PIDSTORE_WRITE',
        step: 'lock',
        hint: expect.any(String),
      }),
    )
  })

  it('refuses a file system that gives our files to a user whose records are not believed', async () => {
    const strict = openPidStore(directory, { trustedOwners: [] })
    await expect(strict.create('web', { pid: process.pid })).rejects.toThrow(
      withCode('ERR_PIDSTORE_WRITE'),
    )
    expect(readdirSync(directory)).toEqual([])
  })
})

describe('an id', () => {
  const invalid = [
    '',
    '.',
    '..',
    '../x',
    'a/b',
    '/a',
    '.hidden',
    '-a',
    '_a',
    'a b',
    'a\0',
    'a\n',
    'ä',
  ]

  it.each([...invalid, 'a'.repeat(129)])('%j is refused by every method', async (id) => {
    const refusal = withCode('ERR_PIDSTORE_INVALID_ID')
    await expect(store.create(id, { pid: process.pid })).rejects.toThrow(refusal)
    await expect(store.get(id)).rejects.toThrow(refusal)
    await expect(store.remove(id)).rejects.toThrow(refusal)
    await expect(store.signal(id, 0)).rejects.toThrow(refusal)
    expect(existsSync(directory)).toBe(false)
  })

  it.each(['a', '0', 'A.b_c-d', 'a..b', 'a.pid', 'a'.repeat(128)])('%j is accepted', async (id) => {
    await store.create(id, { pid: process.pid })
    expect((await store.list()).map((entry) => entry.id)).toEqual([id])
  })
})
