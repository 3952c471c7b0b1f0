import fc from 'fast-check'
import { Header } from 'tar/header'
import { describe, expect, test } from 'vitest'
import { DEFAULT_LIMITS } from './limits.ts'
import {
  dir,
  encodeEntry,
  file,
  hardlink,
  type LiteralEntry,
  paxRecord,
  symlink,
  tar,
} from './literal-tar.test.fixture.ts'
import type { TarEntry } from './tar-entry.ts'
import { decodeHeader } from './tar-header.ts'
import { TarReader } from './tar-reader.ts'

interface ReadEntry extends TarEntry {
  body: string
}

function read(archive: Buffer, chunkSize = archive.length): ReadEntry[] {
  const entries: ReadEntry[] = []
  const reader = new TarReader(
    {
      entry: (entry) => entries.push({ ...entry, body: '' }),
      data: (chunk) => {
        const last = entries.at(-1)
        if (last !== undefined) last.body += chunk.toString('latin1')
      },
      end: () => undefined,
    },
    DEFAULT_LIMITS,
  )
  for (let at = 0; at < archive.length; at += chunkSize)
    reader.write(archive.subarray(at, at + chunkSize))
  reader.end()
  return entries
}

function readOne(entry: LiteralEntry): ReadEntry {
  const [first] = read(tar([entry]))
  if (first === undefined) throw new Error('no entry was read')
  return first
}

const sample = tar([
  dir('d/'),
  file('d/empty'),
  file('d/file', 'x'.repeat(1500), { pax: { mtime: '1.5', 'SCHILY.xattr.user.a': 'b' } }),
  symlink('d/link', 'file'),
  hardlink('d/hard', 'd/file'),
])

describe('reading', () => {
  test('an archive reads the same in chunks of any size', () => {
    const whole = read(sample)
    expect(whole.map((entry) => entry.type)).toEqual([
      'directory',
      'file',
      'file',
      'symlink',
      'hardlink',
    ])
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2000 }), (size) => {
        expect(read(sample, size)).toEqual(whole)
      }),
    )
  })

  test('names are bytes: two that are not UTF-8 stay different', () => {
    const names = [Buffer.from([0x61, 0xff]), Buffer.from([0x61, 0xfe])]
    expect(read(tar(names.map((name) => file(name)))).map((entry) => entry.name)).toEqual([
      'a\xff',
      'a\xfe',
    ])
  })

  test('a name of exactly 100 bytes needs no NUL behind it', () => {
    expect(readOne(file('n'.repeat(100))).name).toBe('n'.repeat(100))
  })

  test('a ustar prefix is put before the name', () => {
    expect(
      readOne(file('name', '', { patch: (block) => block.write('some/prefix', 345) })).name,
    ).toBe('some/prefix/name')
  })

  test('the times in a GNU header are not a prefix, but what Go before 1.8 wrote there is', () => {
    const times = file('name', '', {
      magic: 'ustar  \0',
      patch: (block) => block.write('00000000001\x0000000000002\0', 345),
    })
    expect(readOne(times).name).toBe('name')
    const prefix = file('name', '', {
      magic: 'ustar  \0',
      patch: (block) => block.write('pre/fix', 345),
    })
    expect(readOne(prefix).name).toBe('pre/fix/name')
  })

  test('device numbers are read from POSIX and GNU headers', () => {
    for (const magic of ['ustar\x0000', 'ustar  \0'] as const) {
      const { type, deviceMajor, deviceMinor } = readOne({
        name: 'null',
        typeflag: '3',
        device: [1, 3],
        magic,
      })
      expect([type, deviceMajor, deviceMinor]).toEqual(['character-device', 1, 3])
    }
  })

  test('numbers in base-256 are read, negative times too', () => {
    const base256 = (value: bigint, at: number, length: number) => (block: Buffer) => {
      for (let i = 0; i < length; i++)
        block[at + length - 1 - i] = Number((value >> BigInt(8 * i)) & 0xffn)
      if (value >= 0n) block[at] = 0x80
    }
    expect(readOne(file('a', '', { patch: base256(4_000_000_000n, 108, 8) })).uid).toBe(
      4_000_000_000,
    )
    expect(readOne(file('a', '', { patch: base256(-86_400n, 136, 12) })).mtime).toBe(-86_400)
    expect(() => readOne(file('a', '', { patch: base256(2n ** 60n, 124, 12) }))).toThrow('size')
  })

  test('GNU long names and long links are read', () => {
    const long = 'd/'.repeat(150)
    const archive = Buffer.concat([
      encodeEntry({ name: '././@LongLink', typeflag: 'L', content: `${long}name\0` }),
      encodeEntry({ name: '././@LongLink', typeflag: 'K', content: `${long}target\0` }),
      tar([symlink('short', 'short')]),
    ])
    expect(read(archive)).toMatchObject([{ name: `${long}name`, linkName: `${long}target` }])
  })

  test('an old archive says with a slash at the end that an entry is a directory', () => {
    expect(readOne({ name: 'd/', typeflag: '\0', magic: '\0\0\0\0\0\0\0\0' }).type).toBe(
      'directory',
    )
  })

  test('the size that some writers give to directories and links is not a body', () => {
    const entries = read(
      tar([{ ...dir('d/'), size: 4096 }, { ...hardlink('h', 'f'), size: 7 }, file('f', 'x')]),
    )
    expect(entries.map((entry) => entry.size)).toEqual([0, 0, 1])
  })

  test('a checksum of signed bytes, as some old writers made it, is accepted', () => {
    const archive = encodeEntry(file('\xff'))
    let sum = 8 * 0x20
    for (let i = 0; i < 512; i++) if (i < 148 || i >= 156) sum += archive.readInt8(i)
    archive.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
    expect(read(archive)).toHaveLength(1)
  })

  test('what follows the end of the archive is ignored', () => {
    expect(read(Buffer.concat([tar([file('a')]), Buffer.from('anything')]))).toHaveLength(1)
  })

  test('the numbers of a header are those that the codec of node-tar wrote and reads', () => {
    const numbers = fc.record({
      mode: fc.integer({ min: 0, max: 0o7777 }),
      uid: fc.integer({ min: 0, max: 2 ** 31 }),
      gid: fc.integer({ min: 0, max: 2 ** 31 }),
      size: fc.integer({ min: 0, max: 2 ** 45 }),
      seconds: fc.integer({ min: -(2 ** 35), max: 2 ** 35 }),
      path: fc.stringMatching(/^[ab/]{0,90}[ab]$/),
    })
    fc.assert(
      fc.property(numbers, ({ seconds, ...fields }) => {
        const block = Buffer.alloc(512)
        const codec = new Header({ ...fields, mtime: new Date(seconds * 1000), type: 'File' })
        codec.encode(block)
        const { mode, uid, gid, size, mtime, name } = decodeHeader(block, 0)
        expect({ mode, uid, gid, size, mtime, name }).toEqual({
          mode: fields.mode,
          uid: fields.uid,
          gid: fields.gid,
          size: fields.size,
          mtime: seconds,
          name: fields.path,
        })
      }),
    )
  })
})

describe('PAX records', () => {
  test('override the header and carry binary attributes', () => {
    const value = Buffer.from([0, 1, 0x3d, 0x0a, 0xff])
    const pax = {
      path: 'söme/näme',
      uid: '70000',
      gid: '70001',
      mtime: '-1.25',
      'SCHILY.xattr.security.capability': value,
    }
    const entry = readOne(file('short', 'body', { pax }))
    expect(entry).toMatchObject({ uid: 70000, gid: 70001, mtime: -1.25, body: 'body' })
    expect(Buffer.from(entry.name, 'latin1').toString()).toBe('söme/näme')
    expect(entry.xattrs?.get('security.capability')).toEqual(value)
  })

  test('a size beyond eight gigabytes is taken from the record', () => {
    const header = encodeEntry({ ...file('big'), pax: { size: String(2 ** 40) } })
    expect(() => read(header)).toThrow('ends in the middle')
  })

  test('an empty value gives the header’s own value back', () => {
    expect(readOne(file('short', '', { pax: { path: '', uid: '' }, uid: 7 }))).toMatchObject({
      name: 'short',
      uid: 7,
    })
  })

  test('a global header counts for every entry until another record says otherwise', () => {
    const globals = encodeEntry({ name: 'g', typeflag: 'g', content: paxRecord('mtime', '7') })
    const entries = read(
      Buffer.concat([globals, tar([file('a'), file('b', '', { pax: { mtime: '8' } }), file('c')])]),
    )
    expect(entries.map((entry) => entry.mtime)).toEqual([7, 8, 7])
  })

  test.each([
    ['a length that is too long', '99 path=x\n'],
    ['a length that is too short', '5 path=x\n'],
    ['no length', ' path=x\n'],
    ['a length of letters', 'ab path=x\n'],
    ['no newline', '9 path=xy'],
    ['no key', '5 =x\n'],
    ['no equals sign', '8 pathx\n'],
    ['NUL in a name', '10 path=\0\n'],
    ['a negative size', '11 size=-1\n'],
    ['a size with a sign', '11 size=+1\n'],
    ['a size beyond what numbers hold', '29 size=99999999999999999999\n'],
    ['a time of letters', '11 mtime=x\n'],
  ])('%s is a typed error', (_, records) => {
    const archive = Buffer.concat([
      encodeEntry({ name: 'p', typeflag: 'x', content: records }),
      tar([file('a')]),
    ])
    expect(() => read(archive)).toThrow(expect.objectContaining({ code: 'ERR_ROOTFS_TAR_INVALID' }))
  })

  test.each(['path', 'linkpath', 'size', 'GNU.sparse.name'])('a global %s is refused', (key) => {
    const globals = encodeEntry({ name: 'g', typeflag: 'g', content: paxRecord(key, '1') })
    expect(() => read(Buffer.concat([globals, tar([file('a')])]))).toThrow(key)
  })

  test('two PAX headers for one entry are refused', () => {
    const one = encodeEntry({ name: 'p', typeflag: 'x', content: paxRecord('path', 'a') })
    expect(() => read(Buffer.concat([one, one, tar([file('a')])]))).toThrow('two extended headers')
  })
})

describe('damage', () => {
  const code = (value: string) => expect.objectContaining({ name: 'RootfsError', code: value })

  test('a truncated archive is recognised wherever it was cut, except between entries', () => {
    const boundaries = new Set<number>()
    for (let at = 0; at < sample.length; at++) {
      try {
        read(sample.subarray(0, at))
        boundaries.add(at)
      } catch (error) {
        expect(error).toEqual(code('ERR_ROOTFS_TAR_TRUNCATED'))
      }
    }
    for (const at of boundaries) expect(at % 512 === 0 || at > sample.length - 512).toBe(true)
  })

  test('a header with a wrong checksum is a checksum error', () => {
    const archive = Buffer.from(sample)
    archive[0] = 0x7a
    expect(() => read(archive)).toThrow(code('ERR_ROOTFS_TAR_CHECKSUM'))
  })

  test('something that is no header where one has to be is a desync', () => {
    const archive = Buffer.concat([
      encodeEntry({ ...file('a', 'y'.repeat(600)), size: 10 }),
      Buffer.alloc(1024),
    ])
    expect(() => read(archive)).toThrow(code('ERR_ROOTFS_TAR_DESYNC'))
    expect(() => read(Buffer.alloc(512, 'not a tar archive'))).toThrow(
      code('ERR_ROOTFS_TAR_DESYNC'),
    )
  })

  test('an archive that goes on after one block of zeros is a desync', () => {
    const archive = Buffer.concat([
      encodeEntry(file('a')),
      Buffer.alloc(512),
      encodeEntry(file('b')),
    ])
    expect(() => read(archive)).toThrow(code('ERR_ROOTFS_TAR_DESYNC'))
  })

  test('an archive that ends after an extended header is a typed error', () => {
    const pax = encodeEntry({ name: 'p', typeflag: 'x', content: paxRecord('path', 'a') })
    expect(() => read(pax)).toThrow(code('ERR_ROOTFS_TAR_TRUNCATED'))
    expect(() => read(Buffer.concat([pax, Buffer.alloc(1024)]))).toThrow(
      code('ERR_ROOTFS_TAR_DESYNC'),
    )
  })

  test('fields that are not numbers are a typed error', () => {
    const patch = (at: number) => (block: Buffer) => block.write('0000x', at)
    for (const at of [100, 108, 116, 124, 136]) {
      expect(() => readOne(file('a', '', { patch: patch(at) }))).toThrow(
        code('ERR_ROOTFS_TAR_INVALID'),
      )
    }
  })

  test('unknown types and sparse files are unsupported, by name', () => {
    for (const typeflag of ['S', 'V', 'M', 'Z']) {
      expect(() => readOne({ name: 'a', typeflag })).toThrow(code('ERR_ROOTFS_UNSUPPORTED'))
    }
    expect(() => readOne(file('a', '', { pax: { 'GNU.sparse.major': '1' } }))).toThrow(
      code('ERR_ROOTFS_UNSUPPORTED'),
    )
  })

  test('whatever bytes come, nothing but a RootfsError is thrown', () => {
    const at = fc.nat({ max: sample.length - 1 })
    const edits = fc.array(fc.tuple(at, fc.nat({ max: 255 })), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(edits, fc.boolean(), (changes, repair) => {
        const archive = Buffer.from(sample)
        for (const [place, value] of changes) archive[place] = value
        if (repair) repairChecksums(archive)
        try {
          read(archive, 700)
        } catch (error) {
          expect(error).toMatchObject({ name: 'RootfsError' })
        }
      }),
      { numRuns: 500 },
    )
  })
})

/** Make every block that looks like a header pass its checksum, so that damage reaches the fields. */
function repairChecksums(archive: Buffer): void {
  for (let at = 0; at + 512 <= archive.length; at += 512) {
    if (archive.toString('latin1', at + 257, at + 262) !== 'ustar') continue
    archive.fill(0x20, at + 148, at + 156)
    let sum = 0
    for (let i = at; i < at + 512; i++) sum += archive[i] ?? 0
    archive.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148, 'latin1')
  }
}
