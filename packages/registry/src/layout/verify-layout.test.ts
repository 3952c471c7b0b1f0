import { execFile } from 'node:child_process'
import {
  mkdir,
  mkdtemp,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Descriptor } from '../image/descriptor.ts'
import { digestOf } from '../image/digest.ts'
import { MEDIA_TYPES } from '../image/media-types.ts'
import { parseReference } from '../image/reference.ts'
import {
  collect,
  documentOf,
  imageOf,
  partsOf,
  putAll,
  referrerTo,
} from '../store/content.test.fixture.ts'
import type { ContentStore } from '../store/content-store.ts'
import { layoutStore } from '../store/layout-store.ts'
import { makeIndex } from '../testing/index.ts'
import { type ImageLayout, openImageLayout } from './image-layout.ts'
import type { VerifyEvent } from './verify-layout.ts'

let directory: string
let layout: ImageLayout
let store: ContentStore
const image = imageOf('a')
const index = makeIndex([image, imageOf('b', 'arm64')])
const manifest = image.manifest.descriptor
const config = image.config.descriptor

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cromwell-verify-'))
  layout = openImageLayout(directory)
  store = layoutStore(layout)
  await putAll(store, index, 'a:1')
  await putAll(store, referrerTo(manifest, 'sbom'))
})

afterEach(() => rm(directory, { recursive: true, force: true }))

describe('verify', () => {
  it('reads everything and finds nothing in a whole layout', async () => {
    const events: VerifyEvent[] = []
    const report = await layout.verify({ onEvent: (event) => events.push(event) })
    expect(report.problems).toEqual([])
    const parts = [...partsOf(index), ...partsOf(referrerTo(manifest, 'sbom'))]
    expect(report.blobs).toBe(parts.length)
    expect(report.bytes).toBe(parts.reduce((total, { bytes }) => total + bytes.length, 0))
    expect(events).toHaveLength(parts.length)
  })

  it('finds bytes that are others, of the same number', async () => {
    const path = layout.blobPath(config.digest)
    await writeFile(path, Buffer.alloc(config.size, 'x'))
    expect((await layout.verify()).problems).toMatchObject([
      { kind: 'digest-mismatch', digest: config.digest, path },
    ])
  })

  it('finds what was cut, by digest and by size', async () => {
    const path = layout.blobPath(config.digest)
    await truncate(path, 3)
    expect((await layout.verify()).problems).toMatchObject([
      { kind: 'digest-mismatch', path },
      { kind: 'size-mismatch', path, role: 'config', parent: manifest.digest },
    ])
  })

  it('finds what is missing, with who refers to it, but misses no subject', async () => {
    await rm(layout.blobPath(config.digest))
    await putAll(store, referrerTo({ ...manifest, digest: digestOf(Buffer.from('gone')) }, 'x'))
    expect((await layout.verify()).problems).toMatchObject([
      { kind: 'missing', digest: config.digest, role: 'config', parent: manifest.digest },
    ])
  })

  it('finds what is no file, and follows no link', async () => {
    const path = layout.blobPath(config.digest)
    await rename(path, join(directory, 'elsewhere'))
    await symlink('../../elsewhere', path)
    expect((await layout.verify()).problems).toMatchObject([{ kind: 'not-a-file', path }])
  })

  it('finds documents that are none, and entries of index.json', async () => {
    const odd = documentOf(MEDIA_TYPES.ociManifest, { layers: [{ digest: '../../etc/passwd' }] })
    await layout.write(odd.descriptor, odd.bytes)
    await layout.tag(parseReference('odd'), odd.descriptor)
    const path = join(directory, 'index.json')
    const entries = JSON.parse(await readFile(path, 'utf8'))
    entries.manifests.push({ mediaType: 'x', digest: 'sha256:../../../etc/passwd', size: 1 })
    await writeFile(path, JSON.stringify(entries))
    expect((await layout.verify()).problems).toMatchObject([
      { kind: 'bad-document', path },
      { kind: 'bad-document', digest: odd.descriptor.digest },
    ])
  })

  it('is stopped by its signal', async () => {
    await expect(layout.verify({ signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ERR_REGISTRY_ABORTED',
    })
  })
})

describe('a hostile layout', () => {
  const escaping = { mediaType: 'text/plain', digest: 'sha256:../../../../etc/hostname', size: 1 }

  it.each([
    ['a path for a digest', escaping.digest],
    ['a digest too short', 'sha256:abc'],
    ['an absolute path', '/etc/passwd'],
    ['an algorithm that is a path', `../..:${'a'.repeat(64)}`],
    ['capital letters', `sha256:${'A'.repeat(64)}`],
  ])('is not followed to %s (CVE-2024-3727)', async (_what, digest) => {
    const bad = { ...escaping, digest } as Descriptor
    const code = 'ERR_REGISTRY_BAD_DIGEST'
    await expect(store.has(bad)).rejects.toMatchObject({ code })
    await expect(store.read(bad)).rejects.toMatchObject({ code })
    await expect(collect(store.open(bad))).rejects.toMatchObject({ code })
    await expect(layout.write(bad, Buffer.from('x'))).rejects.toMatchObject({ code })
    await expect(store.put({ descriptor: bad, open: () => none() })).rejects.toMatchObject({ code })
  })

  it('does not lead out by links, and does not hang readers', async () => {
    const path = layout.blobPath(config.digest)
    await rm(path)
    await symlink(join(directory, 'index.json'), path)
    expect(await layout.has(config)).toBe(false)
    await expect(layout.find(parseReference('a:1'), amd64)).rejects.toMatchObject({
      code: 'ERR_REGISTRY_LAYOUT',
      path,
      message: expect.stringContaining('symbolic link'),
    })
    await expect(collect(store.open(config))).rejects.toMatchObject({ code: 'ERR_REGISTRY_LAYOUT' })
    await rm(path)
    await promisify(execFile)('mkfifo', [path])
    expect(await layout.has(config)).toBe(false)
    await expect(layout.find(parseReference('a:1'), amd64)).rejects.toMatchObject({
      code: 'ERR_REGISTRY_LAYOUT',
      message: expect.stringContaining('regular file'),
    })
    await expect(collect(store.open(config))).rejects.toMatchObject({ code: 'ERR_REGISTRY_LAYOUT' })
    await putAll(store, index)
    expect(await layout.find(parseReference('a:1'), amd64)).toBeDefined()
  })

  it('has no more than its descriptors say: nothing larger is read', async () => {
    await writeFile(layout.blobPath(config.digest), Buffer.alloc(config.size + 1))
    expect(await layout.read(config)).toBeUndefined()
    await expect(layout.read({ ...config, size: 2 ** 40 })).rejects.toMatchObject({
      code: 'ERR_REGISTRY_TOO_LARGE',
    })
  })

  it('may have no index.json that fills the memory, is a pipe or a directory', async () => {
    const path = join(directory, 'index.json')
    await truncate(path, 65 * 1024 * 1024)
    await expect(layout.list()).rejects.toMatchObject({ code: 'ERR_REGISTRY_TOO_LARGE', path })
    await rm(path)
    await promisify(execFile)('mkfifo', [path])
    await expect(layout.list()).rejects.toMatchObject({ code: 'ERR_REGISTRY_LAYOUT' })
    await rm(path)
    await mkdir(path)
    await expect(layout.list()).rejects.toMatchObject({ code: 'ERR_REGISTRY_LAYOUT' })
  })

  it('may nest indexes as deep as it likes', async () => {
    let top = index.index.descriptor
    for (let depth = 0; depth < 100; depth++) {
      const manifests = [{ ...top, platform: amd64 }]
      const outer = documentOf(MEDIA_TYPES.ociIndex, {
        schemaVersion: 2,
        mediaType: MEDIA_TYPES.ociIndex,
        manifests,
      })
      await layout.write(outer.descriptor, outer.bytes)
      top = outer.descriptor
    }
    await layout.tag(parseReference('deep'), top)
    expect(await layout.find(parseReference('deep'), amd64)).toBeUndefined()
    expect((await layout.verify()).problems).toEqual([])
    await layout.untag(parseReference('a:1'))
    expect((await layout.gc({ graceMs: 0 })).removed).toEqual([])
  })

  it('may refer in circles with damaged documents, and everything still ends', async () => {
    const [a, b] = ['a', 'b'].map((letter) => `sha256:${letter.repeat(64)}`)
    const bytes = (digest: string | undefined) =>
      Buffer.from(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: MEDIA_TYPES.ociIndex,
          manifests: [{ mediaType: MEDIA_TYPES.ociIndex, digest, size: 400, platform: amd64 }],
        }).padEnd(400),
      )
    await writeFile(layout.blobPath(a ?? ''), bytes(b))
    await writeFile(layout.blobPath(b ?? ''), bytes(a))
    const entry = { mediaType: MEDIA_TYPES.ociIndex, digest: a ?? '', size: 400 }
    await writeFile(join(directory, 'index.json'), JSON.stringify({ manifests: [entry] }))
    expect((await layout.gc({ graceMs: 0 })).kept).toBe(2)
    const kinds = (await layout.verify()).problems.map(({ kind }) => kind)
    expect(new Set(kinds)).toEqual(new Set(['digest-mismatch']))
  })
})

const amd64 = { os: 'linux', architecture: 'amd64' }

async function* none(): AsyncGenerator<Uint8Array> {}
