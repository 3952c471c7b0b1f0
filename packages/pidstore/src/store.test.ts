import { execFileSync, spawn } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { requires } from '@cromwell/test-support'
import fc from 'fast-check'
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

describe('list', () => {
  it('is empty where there is no directory, and makes none', async () => {
    expect(await store.list()).toEqual([])
    expect(existsSync(directory)).toBe(false)
  })

  it('needs no /proc where there are no records', async () => {
    expect(await openPidStore(directory, { procDir: '/nonexistent' }).list()).toEqual([])
  })

  it('gives every record, sorted by id', async () => {
    for (const id of ['b', 'a', 'C', '1']) await store.create(id, { pid: process.pid })
    expect((await store.list()).map((entry) => entry.id)).toEqual(['1', 'C', 'a', 'b'])
  })

  it('never breaks or waits because one entry is bad, and says what is wrong with it', async () => {
    const record = await store.create('good', { pid: process.pid })
    const text = formatRecord(record)
    const at = (id: string) => join(directory, `${id}.pid`)
    writeFileSync(at('empty'), '')
    writeFileSync(at('plain'), '4242\n')
    writeFileSync(at('binary'), Buffer.from([0, 255, 10, 13, 27]))
    writeFileSync(at('huge'), '')
    truncateSync(at('huge'), 2 ** 40)
    writeFileSync(at('long'), text)
    appendFileSync(at('long'), 'x'.repeat(5000))
    copyFileSync(at('good'), at('copy'))
    mkdirSync(at('folder'))
    symlinkSync(at('good'), at('link'))
    symlinkSync('nowhere', at('dangling'))
    execFileSync('mkfifo', [at('fifo')])
    writeFileSync(at('not an\nid'), text)
    writeFileSync(join(directory, 'README'), 'not a record')
    writeFileSync(join(directory, '.hidden.pid'), text)
    const server = createServer().listen(at('socket'))
    try {
      const entries = await store.list()
      expect(entries.map(({ id, state, reason }) => [id, state, reason])).toEqual([
        ['binary', 'corrupt', 'its first line is not a pid'],
        ['copy', 'corrupt', 'it is the record of good'],
        ['dangling', 'corrupt', 'it is a symbolic link'],
        ['empty', 'corrupt', 'it is empty'],
        ['fifo', 'corrupt', 'it is not a regular file'],
        ['folder', 'corrupt', 'it is not a regular file'],
        ['good', 'running', undefined],
        ['huge', 'corrupt', 'it is larger than 4096 bytes'],
        ['link', 'corrupt', 'it is a symbolic link'],
        ['long', 'corrupt', 'it is larger than 4096 bytes'],
        ['not an\nid', 'corrupt', 'its name is not a valid id'],
        ['plain', 'corrupt', 'it holds a pid and nothing that tells whose'],
        ['socket', 'corrupt', 'it is not a regular file'],
      ])
      expect(await store.get('plain')).toMatchObject({ pid: 4242 })
    } finally {
      server.close()
    }
  })

  it('says that it may not read a record', async (context) => {
    requires(context, 'plain-user', process.geteuid?.() !== 0, 'root may read everything')
    await store.create('secret', { pid: process.pid })
    chmodSync(join(directory, 'secret.pid'), 0)
    expect(await store.get('secret')).toMatchObject({
      state: 'corrupt',
      reason: 'it cannot be read (EACCES)',
    })
  })

  it('does not believe, nor signal for, the records of other users', async () => {
    await store.create('web', { pid: process.pid })
    // To this store we are the other user.
    const wary = openPidStore(directory, { trustedOwners: [12345] })
    expect(await wary.get('web')).toMatchObject({
      state: 'corrupt',
      reason: `it belongs to uid ${process.geteuid?.()}, whose records are not believed`,
    })
    expect(await wary.signal('web', 0)).toBe(false)
  })

  it('throws when it is the directory that cannot be listed', async () => {
    writeFileSync(directory, 'a file')
    await expect(store.list()).rejects.toThrow(withCode('ERR_PIDSTORE_READ'))
  })

  it('throws, and calls nothing corrupt or exited, when this process is out of descriptors', async () => {
    await store.create('web', { pid: process.pid })
    const code = `
      import { openSync } from 'node:fs'
      import { openPidStore } from '@cromwell/pidstore'
      const store = openPidStore(${JSON.stringify(directory)})
      await store.list()
      try { for (;;) openSync('/dev/null') } catch {}
      await store.list().then(() => console.log('no error'), (error) => console.log(error.code))`
    const output = execFileSync(
      'sh',
      ['-c', 'ulimit -n 64; exec "$0" --input-type=module -e "$1"', process.execPath, code],
      { cwd: join(import.meta.dirname, '..'), encoding: 'utf8' },
    )
    expect(output).toBe('ERR_PIDSTORE_READ\n')
  })

  it('property: a record made of any bytes is listed, next to the good ones', async () => {
    await store.create('good', { pid: process.pid })
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5000 }), (bytes) => {
        writeFileSync(join(directory, 'odd.pid'), bytes)
        expect(store.listSync().map((entry) => entry.id)).toEqual(['good', 'odd'])
      }),
    )
  })
})

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
