import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { bytesSource } from '../client/blob-source.ts'
import { createBench, listOf } from '../client/servers.test.fixture.ts'
import { digestOf } from '../image/digest.ts'
import { MEDIA_TYPES } from '../image/media-types.ts'
import { parseReference, withDigest, withTag } from '../image/reference.ts'
import type { ContentStore } from '../store/content-store.ts'
import { memoryStore } from '../store/memory-store.ts'
import { makeImage, makeIndex, makeLayer, type TestImage } from '../testing/index.ts'
import { attach } from './attach.ts'
import { buildIndex } from './build-index.ts'
import { type PushEvent, push } from './push.ts'

const base = makeLayer({ base: 'x'.repeat(100_000) })
const platforms = ['amd64', 'arm64'].map((architecture) => ({ os: 'linux', architecture }))
const images = platforms.map((platform) =>
  makeImage({ platform, layers: [base, makeLayer({ file: platform.architecture })] }),
)
const [amd64] = images
const { index } = makeIndex(images)
const { start, close } = createBench()
let source: { store: ContentStore; name: string }
let directory: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cromwell-push-'))
  source = { store: await filledStore(), name: 'app' }
})

afterEach(close)

afterAll(() => rm(directory, { recursive: true, force: true }))

describe('push', () => {
  it('brings an index with all that is below it, documents after their parts, the names last', async () => {
    const { registry, client, reference } = await start()
    const result = await push(source, withTag(reference, 'v1'), { client, tags: ['v2', 'v1'] })
    expect(result).toEqual({
      reference: withTag(reference, 'v1'),
      descriptor: index.descriptor,
      tags: ['v1', 'v2'],
      transferred: expect.objectContaining({ stored: { blobs: 5, bytes: expect.any(Number) } }),
    })
    expect(registry.tags('team/app')).toEqual(['v1', 'v2'])
    expect(registry.manifest('team/app', 'v1')?.bytes).toEqual(index.bytes)
    for (const { manifest, config, layers } of images) {
      expect(registry.manifest('team/app', manifest.descriptor.digest)?.bytes).toEqual(
        manifest.bytes,
      )
      for (const digest of [config.descriptor.digest, ...layers.map((layer) => layer.digest)]) {
        expect(digestOf((await registry.blob('team/app', digest)) ?? Buffer.of())).toBe(digest)
      }
    }
    const puts = registry.requests.filter(
      ({ method, path }) => method === 'PUT' && path.includes('/manifests/'),
    )
    const order = puts.map(({ path }) => decodeURIComponent(path.replace(/.*\//, '')))
    const children = images.map(({ manifest }) => manifest.descriptor.digest)
    expect(order.slice(0, 2).sort()).toEqual(children.sort())
    expect(order.slice(2)).toEqual([
      index.descriptor.digest,
      `${index.descriptor.digest}?tag=v1&tag=v2`,
    ])
    const lastBlob = registry.requests.findLastIndex(({ path }) => path.includes('/blobs/'))
    expect(
      registry.requests.findIndex(
        ({ method, path }) => method === 'PUT' && path.includes('/manifests/'),
      ),
    ).toBeGreaterThan(lastBlob)
  })

  it('sends nothing twice', async () => {
    const { registry, client, reference } = await start()
    await push(source, withTag(reference, 'v1'), { client })
    registry.requests.length = 0
    await push(source, withTag(reference, 'v2'), { client })
    expect(registry.requests.filter(({ path }) => path.includes('/blobs/'))).toEqual([])
    expect(registry.tags('team/app')).toEqual(['v1', 'v2'])
  })

  it('tells what it does, and ends with the end', async () => {
    const { registry, client, reference } = await start()
    registry.addFault({ on: 'upload', method: 'PUT', type: 'cut-upload', afterBytes: 100 })
    const heard: PushEvent[] = []
    const task = push(source, reference, {
      client,
      tags: ['v1'],
      onEvent: (event) => heard.push(event),
    })
    const events = await listOf(task)
    await task
    const typesOf = (list: PushEvent[]) => [...new Set(list.map(({ type }) => type))]
    expect(typesOf(events)).toEqual(typesOf(heard))
    expect(typesOf(events)).toEqual(
      expect.arrayContaining([
        'resolved',
        'planned',
        'blob-start',
        'blob-done',
        'blob-retry',
        'document-done',
        'tagged',
        'done',
      ]),
    )
    expect(events.at(-1)).toEqual({ type: 'done', digest: index.descriptor.digest })
  })

  it('mounts what another repository has', async () => {
    const { client, reference } = await start()
    await push(source, reference, { client })
    const target = parseReference(`${reference.registry}/team/copy:1`)
    const { transferred } = await push(source, target, { client, mountFrom: ['team/app'] })
    expect(transferred.mounted.blobs).toBe(5)
    expect(transferred.stored.blobs).toBe(0)
  })

  it('pushes some platforms, and chunks', async () => {
    const { registry, client, reference } = await start()
    const { descriptor } = await push(source, reference, {
      client,
      platforms: platforms.slice(0, 1),
      chunkBytes: 50,
    })
    const pushed = await client.manifest(reference)
    expect(pushed.descriptor).toEqual(descriptor)
    expect(pushed.document).toMatchObject({
      manifests: [{ digest: amd64?.manifest.descriptor.digest }],
    })
    expect(registry.requests.some(({ method }) => method === 'PATCH')).toBe(true)
  })

  it('names nothing if something fails', async () => {
    const { registry, client, reference } = await start()
    const path = amd64?.layers[1]?.digest ?? ''
    registry.addFault({ on: 'upload', method: 'PUT', path, type: 'status', status: 403 })
    await expect(push(source, reference, { client })).rejects.toMatchObject({
      code: 'ERR_REGISTRY_DENIED',
    })
    expect(registry.tags('team/app') ?? []).toEqual([])
    expect(registry.openUploads).toBe(0)
    await push(source, reference, { client })
    expect(registry.tags('team/app')).toEqual(['latest'])
  })

  it('gives no name to something else than its digest', async () => {
    const { registry, client, reference } = await start()
    const wrong = { ...withTag(reference, 'v1'), digest: digestOf(Buffer.from('other')) }
    await expect(push(source, wrong, { client })).rejects.toMatchObject({
      code: 'ERR_REGISTRY_DIGEST_MISMATCH',
    })
    const { tags } = await push(source, withDigest(reference, index.descriptor.digest), { client })
    expect(tags).toEqual([])
    expect(registry.tags('team/app')).toEqual([])
  })
})

describe('buildIndex', () => {
  it('puts manifests of several pushes under one name', async () => {
    const { client, reference } = await start()
    const entries = []
    for (const image of images) {
      const digest = image.manifest.descriptor.digest
      const { descriptor } = await push(
        { ...source, name: digest },
        withDigest(reference, digest),
        { client },
      )
      entries.push({ descriptor, platform: image.platform, annotations: { a: 'b' } })
    }
    const built = buildIndex(entries, { annotations: { made: 'here' } })
    expect(built).toEqual(buildIndex(entries, { annotations: { made: 'here' } }))
    const { descriptor } = await client.putManifest(withTag(reference, 'all'), built)
    expect(descriptor).toEqual(built.descriptor)
    const { document } = await client.manifest(withTag(reference, 'all'))
    expect(document).toMatchObject({
      kind: 'index',
      mediaType: MEDIA_TYPES.ociIndex,
      annotations: { made: 'here' },
      manifests: images.map(({ manifest, platform }) => ({
        digest: manifest.descriptor.digest,
        platform,
        annotations: { a: 'b' },
      })),
    })
  })
})

describe('attach', () => {
  it.for([true, false])(
    'attaches files and blobs to an image; referrers API: %s',
    async (referrers) => {
      const { registry, client, reference } = await start({ referrers })
      await push(source, reference, { client })
      const path = join(directory, 'sbom.json')
      await writeFile(path, '{"spdxVersion":"SPDX-2.3"}')
      const options = {
        client,
        artifactType: 'application/spdx+json',
        files: [{ path, mediaType: 'application/spdx+json' }],
        layers: [bytesSource(Buffer.from('more'))],
        annotations: { by: 'test' },
      }
      const attached = await attach(reference, options)
      expect(attached.subject).toEqual(index.descriptor)
      expect(await attach(reference, options)).toEqual(attached)
      const found = await listOf(
        client.referrers(reference, { artifactType: 'application/spdx+json' }),
      )
      expect(found).toEqual([
        {
          ...attached.descriptor,
          artifactType: 'application/spdx+json',
          annotations: { by: 'test' },
        },
      ])
      const { document } = await client.manifest(withDigest(reference, attached.descriptor.digest))
      expect(document).toMatchObject({
        config: { mediaType: 'application/vnd.oci.empty.v1+json' },
        layers: [
          { mediaType: 'application/octet-stream', size: 4 },
          { annotations: { 'org.opencontainers.image.title': 'sbom.json' } },
        ],
      })
      expect(registry.manifest('team/app', 'latest')?.bytes).toEqual(index.bytes)
    },
  )

  it('attaches something that has no content', async () => {
    const { client, reference } = await start()
    await push(source, reference, { client })
    const { descriptor } = await attach(reference, {
      client,
      artifactType: 'application/vnd.approval',
    })
    const { document } = await client.manifest(withDigest(reference, descriptor.digest))
    expect(document).toMatchObject({ layers: [{ mediaType: 'application/vnd.oci.empty.v1+json' }] })
  })

  it('wants a type, and an image that is there', async () => {
    const { client, reference } = await start()
    await expect(attach(reference, { client, artifactType: 'sbom' })).rejects.toMatchObject({
      code: 'ERR_REGISTRY_BAD_MANIFEST',
    })
    await expect(
      attach(reference, { client, artifactType: 'application/spdx+json' }),
    ).rejects.toMatchObject({ code: 'ERR_REGISTRY_NOT_FOUND' })
  })
})

async function filledStore(): Promise<ContentStore> {
  const store = memoryStore()
  const blobsOf = ({ config, layers }: TestImage) => [
    config.bytes,
    ...layers.map(({ blob }) => blob),
  ]
  for (const bytes of images.flatMap(blobsOf)) await store.put(bytesSource(bytes))
  for (const { descriptor, bytes } of [...images.map(({ manifest }) => manifest), index]) {
    await store.put(bytesSource(bytes, descriptor))
  }
  await store.tag('app', index.descriptor)
  return store
}
