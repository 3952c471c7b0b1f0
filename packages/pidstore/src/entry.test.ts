import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
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

function withCode(code: string) {
  return expect.objectContaining({ name: 'PidstoreError', code })
}

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
