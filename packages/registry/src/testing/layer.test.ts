import { execFileSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { digestOf } from '../image/digest.ts'
import {
  character,
  directory,
  fifo,
  file,
  hardlink,
  type LayerTree,
  layerFromTar,
  makeLayer,
  opaque,
  symlink,
  whiteout,
} from './layer.ts'

// GNU tar, which no Linux is without, is the judge of the archives.
let temporary: string

beforeEach(async () => {
  temporary = await mkdtemp(join(tmpdir(), 'cromwell-tar-'))
})

afterEach(async () => {
  await rm(temporary, { recursive: true, force: true })
})

describe('makeLayer', () => {
  it('makes what tar lists as it was meant', async () => {
    const listing = await list({
      'bin/sh': symlink('busybox'),
      'bin/busybox': file('x', { mode: 0o4755, uid: 1, gid: 2 }),
      'bin/ls': hardlink('bin/busybox'),
      'etc/': directory({ mode: 0o1777 }),
      '/etc/motd': 'hello',
      'dev/null': character(1, 3, { mode: 0o666 }),
      'run/pipe': fifo(),
      'etc/gone': whiteout(),
      var: opaque(),
    })
    expect(listing).toEqual([
      'drwxr-xr-x 0/0 bin/',
      'lrwxrwxrwx 0/0 bin/sh -> busybox',
      '-rwsr-xr-x 1/2 bin/busybox',
      'hrw-r--r-- 0/0 bin/ls link to bin/busybox',
      'drwxrwxrwt 0/0 etc/',
      '-rw-r--r-- 0/0 etc/motd',
      'drwxr-xr-x 0/0 dev/',
      'crw-rw-rw- 0/0 dev/null',
      'drwxr-xr-x 0/0 run/',
      'prw-r--r-- 0/0 run/pipe',
      '-rw------- 0/0 etc/.wh.gone',
      'drwxr-xr-x 0/0 var/',
      '-rw------- 0/0 var/.wh..wh..opq',
    ])
  })

  it('keeps names, targets and ids that ustar cannot hold', async () => {
    const long = `${'d'.repeat(90)}/${'e'.repeat(90)}/${'f'.repeat(90)}`
    const longer = 'n'.repeat(200)
    const listing = await list({
      [long]: '1',
      [longer]: symlink('t'.repeat(150)),
      'naïve 名前': file('2', { uid: 4_000_000_000, gid: 3_000_000 }),
    })
    expect(listing).toContain(`-rw-r--r-- 0/0 ${long}`)
    expect(listing).toContain(`lrwxrwxrwx 0/0 ${longer} -> ${'t'.repeat(150)}`)
    expect(listing).toContain('-rw-r--r-- 4000000000/3000000 naïve 名前')
  })

  it('holds the bytes of files, and extended attributes', async () => {
    const content = Buffer.from(Array.from({ length: 1500 }, (_, i) => i % 256))
    const layer = makeLayer({ file: file(content, { xattrs: { 'user.a': 'value' } }) })
    const path = await save(layer.tar)
    const found = execFileSync('tar', ['-xOf', path, 'file'], { maxBuffer: 1e7 })
    expect(content.equals(found)).toBe(true)
    expect(layer.tar.toString('latin1')).toContain('29 SCHILY.xattr.user.a=value\n')
  })

  it('names layers by their digests, and makes the same bytes each time', () => {
    const tree = { 'a/b': 'c', d: symlink('a') }
    const layer = makeLayer(tree)
    expect(makeLayer(tree)).toEqual(layer)
    expect(gunzipSync(layer.blob).equals(layer.tar)).toBe(true)
    expect(layer).toMatchObject({
      digest: digestOf(layer.blob),
      diffId: digestOf(layer.tar),
      size: layer.blob.length,
    })
    const plain = makeLayer(tree, { compression: 'none' })
    expect(plain.digest).toBe(layer.diffId)
    expect(layerFromTar(layer.tar)).toEqual(layer)
  })

  it('leaves parents out when told to', () => {
    const names = (parents: boolean) => makeLayer({ 'a/b': '' }, { parents }).tar.length
    expect(names(true) - names(false)).toBe(512)
  })
})

/** Mode, owner and name of each entry, as GNU tar sees it. */
async function list(tree: LayerTree): Promise<string[]> {
  const path = await save(makeLayer(tree).tar)
  const options = ['--numeric-owner', '--quoting-style=literal', '-tvf', path]
  const lines = execFileSync('tar', options, {
    encoding: 'utf8',
    env: { LC_ALL: 'C', PATH: process.env['PATH'] },
  })
  return lines
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/^(\S+) (\S+) +\S+ \S+ \S+ (.*)$/, '$1 $2 $3'))
}

async function save(tar: Buffer): Promise<string> {
  const path = join(temporary, 'layer.tar')
  await writeFile(path, tar)
  expect((await readFile(path)).length % 512).toBe(0)
  return path
}
