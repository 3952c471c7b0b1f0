import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { isRegistryError } from '../errors.ts'
import { imageOf, putAll } from '../store/content.test.fixture.ts'
import { type TarEntry, writeTar } from '../testing/index.ts'
import { openImageArchive } from './image-archive.ts'
import { createImageArchive } from './image-archive-writer.ts'
import { decodeHeader, encodeHeader } from './tar-header.ts'

let directory: string
let file: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cromwell-hostile-'))
  file = join(directory, 'images.tar')
})

afterEach(() => rm(directory, { recursive: true, force: true }))

const ATTRIBUTES = { mode: 0o644, uid: 0, gid: 0, mtime: 0 }
const MANIFEST = JSON.stringify([{ Config: 'c.json', RepoTags: [], Layers: ['l'] }])
const DIFF_ID = `sha256:${'a'.repeat(64)}`
const CONFIG = JSON.stringify({ rootfs: { type: 'layers', diff_ids: [DIFF_ID] } })

function entry(path: string, content = ''): TarEntry {
  return { ...ATTRIBUTES, path, kind: 'file', content: Buffer.from(content) }
}

function link(path: string, target: string, kind: 'symlink' | 'hardlink' = 'symlink'): TarEntry {
  return { ...ATTRIBUTES, path, kind, target }
}

const valid = [entry('manifest.json', MANIFEST), entry('c.json', CONFIG), entry('l', 'layer')]

async function failure(bytes: Uint8Array): Promise<unknown> {
  await writeFile(file, bytes)
  return openImageArchive(file).then(
    (archive) => archive.close(),
    (error: unknown) => error,
  )
}

describe('a hostile archive', () => {
  it.each<[string, TarEntry[], string]>([
    ['a name that climbs', [entry('../../etc/cron.d/x', 'x')], 'leads out'],
    ['a name that climbs in the middle', [entry('a/../../x', 'x')], 'leads out'],
    ['an absolute name', [entry('/etc/x', 'x')], 'leads out'],
    ['a link that climbs', [link('three/layer.tar', '../../x')], 'leads out'],
    ['an absolute link', [link('x', '/etc/passwd')], 'leads out'],
    ['an absolute hard link', [link('x', '/etc/passwd', 'hardlink')], 'leads out'],
    ['two members of one name', [entry('x', 'one'), entry('./x', 'two')], 'twice'],
    ['a device', [{ ...ATTRIBUTES, path: 'x', kind: 'character', major: 1, minor: 3 }], 'neither'],
    ['a pipe', [{ ...ATTRIBUTES, path: 'x', kind: 'fifo' }], 'neither'],
  ])('with %s is refused', async (_what, entries, why) => {
    expect(await failure(writeTar([...valid, ...entries]))).toMatchObject({
      code: 'ERR_REGISTRY_ARCHIVE',
      path: file,
      message: expect.stringContaining(why),
    })
  })

  it.each<[string, TarEntry[], string]>([
    ['nothing', [], 'neither manifest.json'],
    ['no manifest', [entry('x', 'x')], 'neither manifest.json'],
    ['a manifest that is no JSON', [entry('manifest.json', '[{]')], 'not JSON'],
    ['a manifest that is no list', [entry('manifest.json', '{}')], 'not a list'],
    ['an image without configuration', [entry('manifest.json', '[{}]')], 'without a configuration'],
    [
      'a name that is none',
      [entry('manifest.json', '[{"Config":"c.json","RepoTags":["../A"]}]')],
      'for a name',
    ],
    ['no such configuration', [entry('manifest.json', MANIFEST)], 'not in it'],
    ['no such layer', valid.slice(0, 2), 'not in it'],
    [
      'another number of layers',
      [entry('manifest.json', '[{"Config":"c.json","Layers":[]}]'), ...valid.slice(1)],
      'layers',
    ],
    ['a layer that is a link to itself', [...valid.slice(0, 2), link('l', 'l')], 'not in it'],
    [
      'layers that link in a circle',
      [...valid.slice(0, 2), link('l', 'm'), link('m', 'l', 'hardlink')],
      'not in it',
    ],
    [
      'a path for a configuration',
      [entry('manifest.json', '[{"Config":"../../etc/passwd","Layers":[]}]')],
      'not in it',
    ],
  ])('with %s is refused', async (_what, entries, why) => {
    expect(await failure(writeTar(entries))).toMatchObject({
      code: 'ERR_REGISTRY_ARCHIVE',
      message: expect.stringContaining(why),
    })
  })

  it('that is one image to docker and another to OCI tools is refused', async () => {
    const [one, two] = [imageOf('one'), imageOf('two')]
    const writer = createImageArchive(file)
    await putAll(writer, one, 'a:1')
    await putAll(writer, two, 'a:2')
    await writer.finish()
    const text = await readFile(file, 'latin1')
    const [first, second] = [one, two].map(({ layers }) => layers[0]?.digest.slice(7) ?? '')
    const swapped = text.replace(
      `"Layers":["blobs/sha256/${first}"]`,
      `"Layers":["blobs/sha256/${second}"]`,
    )
    expect(swapped).not.toBe(text)
    expect(await failure(Buffer.from(swapped, 'latin1'))).toMatchObject({
      code: 'ERR_REGISTRY_ARCHIVE',
      message: expect.stringContaining('different things'),
    })
  })

  it('that is cut short is refused, wherever it is cut', async () => {
    const tar = writeTar(valid)
    const content = tar.length - 1024
    for (const length of [1, 511, 513, 700, content - 512, content - 100]) {
      for (const bytes of [tar.subarray(0, length), gzipSync(tar.subarray(0, length))]) {
        expect(await failure(bytes), String(length)).toMatchObject({ code: 'ERR_REGISTRY_ARCHIVE' })
      }
    }
    const zipped = gzipSync(tar)
    expect(await failure(zipped.subarray(0, zipped.length - 20))).toMatchObject({
      code: 'ERR_REGISTRY_ARCHIVE',
    })
  })

  it.each([
    ['larger than the archive', 2 ** 33 - 1],
    ['larger than any', 2 ** 60],
  ])('with a size that is %s is refused', async (_what, size) => {
    const header = encodeHeader({ name: 'x', size, type: '0' })
    expect(await failure(Buffer.concat([header, Buffer.alloc(2048)]))).toMatchObject({
      code: expect.stringMatching(/ARCHIVE|TOO_LARGE/),
    })
  })

  it('with a size in an extended header that is not the one in the header is read by the extended one', async () => {
    const record = '14 size=10000\n'
    const extended = encodeHeader({ name: 'x', size: record.length, type: 'x' })
    const bytes = Buffer.concat([
      extended,
      Buffer.from(record.padEnd(512, '\0')),
      encodeHeader({ name: 'y', size: 0, type: '0' }),
      writeTar(valid),
    ])
    expect(await failure(bytes)).toMatchObject({ code: 'ERR_REGISTRY_ARCHIVE' })
  })

  it('with a link that has content is refused', async () => {
    const bytes = Buffer.concat([
      encodeHeader({ name: 'x', size: 512, type: '2' }),
      Buffer.alloc(512, 'x'),
      writeTar(valid),
    ])
    expect(await failure(bytes)).toMatchObject({ message: expect.stringContaining('has content') })
  })

  it('with a document that would fill the memory is refused', async () => {
    const header = encodeHeader({ name: 'manifest.json', size: 2 ** 30, type: '0' })
    await writeFile(file, header)
    await truncate(file, 2 ** 30 + 2048)
    await expect(openImageArchive(file)).rejects.toMatchObject({ code: 'ERR_REGISTRY_TOO_LARGE' })
  })

  it('with more members or bytes than allowed is refused', async () => {
    await writeFile(file, writeTar(valid))
    for (const limits of [{ members: 2 }, { totalBytes: 1000 }]) {
      await expect(openImageArchive(file, { limits })).rejects.toMatchObject({
        code: 'ERR_REGISTRY_TOO_LARGE',
      })
    }
  })

  it.each([
    ['xz', Buffer.from('fd377a585a000000', 'hex'), 'xz'],
    ['bzip2', Buffer.from('BZh91AY'), 'bzip2'],
    ['text', Buffer.from('hello '.repeat(200)), 'not a tar archive'],
    ['damaged gzip', Buffer.from('1f8b08000000000000ffffff', 'hex'), 'uncompress'],
  ])('that is %s is refused', async (_what, bytes, why) => {
    expect(await failure(bytes)).toMatchObject({
      code: 'ERR_REGISTRY_ARCHIVE',
      message: expect.stringContaining(why),
    })
  })

  it('that is no file, or none at all, is refused, and nothing waits for it', async () => {
    await expect(openImageArchive(directory)).rejects.toMatchObject({
      code: 'ERR_REGISTRY_ARCHIVE',
    })
    await expect(openImageArchive(file)).rejects.toMatchObject({
      code: 'ERR_REGISTRY_ARCHIVE',
      message: expect.stringContaining('ENOENT'),
    })
    await promisify(execFile)('mkfifo', [file])
    await expect(openImageArchive(file)).rejects.toMatchObject({ code: 'ERR_REGISTRY_ARCHIVE' })
  })

  it('is stopped by its signal', async () => {
    await writeFile(file, writeTar(valid))
    await expect(openImageArchive(file, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ERR_REGISTRY_ABORTED',
    })
  })

  it('gives a typed error whatever its bytes are', async () => {
    const tar = writeTar(valid)
    const damage = fc.record({ at: fc.nat(tar.length - 1), byte: fc.nat(255) })
    await fc.assert(
      fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 4 }), async (spots) => {
        const bytes = Buffer.from(tar)
        for (const { at, byte } of spots) bytes[at] = byte
        const error = await failure(bytes)
        expect(error === undefined || isRegistryError(error)).toBe(true)
      }),
      { numRuns: 150 },
    )
  })
})

describe('tar headers', () => {
  it('hold any name and size', () => {
    const size = fc.maxSafeNat()
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z/]{1,100}$/), size, (name, bytes) => {
        const header = decodeHeader(encodeHeader({ name, size: bytes, type: '0' }))
        expect(header).toEqual({ name, size: bytes, type: '0', linkName: '' })
      }),
    )
  })
})
