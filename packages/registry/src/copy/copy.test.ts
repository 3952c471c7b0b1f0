import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createRegistryClient, type RegistryClient } from '../client/registry-client.ts'
import type { Descriptor } from '../image/descriptor.ts'
import { MEDIA_TYPES } from '../image/media-types.ts'
import { parseReference } from '../image/reference.ts'
import { openImageLayout } from '../layout/image-layout.ts'
import {
  collect,
  documentOf,
  imageOf,
  partsOf,
  putAll,
  referrerTo,
  topOf,
} from '../store/content.test.fixture.ts'
import type { ContentStore, ContentTarget } from '../store/content-store.ts'
import { layoutStore } from '../store/layout-store.ts'
import { memoryStore } from '../store/memory-store.ts'
import { registryStore } from '../store/registry-store.ts'
import {
  createTestRegistry,
  makeImage,
  makeIndex,
  makeLayer,
  type TestImage,
  type TestIndex,
  type TestRegistry,
} from '../testing/index.ts'
import { copy } from './copy.ts'
import type { CopyEvent } from './copy-event.ts'

const amd64 = { os: 'linux', architecture: 'amd64' }
const arm64 = { os: 'linux', architecture: 'arm64' }
const index = makeIndex([imageOf('a'), imageOf('b', 'arm64'), imageOf('c', 's390x')])
let directory: string
let registry: TestRegistry
let client: RegistryClient

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cromwell-copy-'))
  registry = await createTestRegistry()
  client = createRegistryClient({ retry: { baseMs: 1 } })
})

afterEach(async () => {
  await client.close()
  await registry.close()
  await rm(directory, { recursive: true, force: true })
})

function repository(name: string): ContentStore {
  return registryStore(client, `${registry.host}/${name}`)
}

async function expectWhole(store: ContentStore, content: TestImage | TestIndex): Promise<void> {
  for (const { descriptor, bytes } of partsOf(content)) {
    expect(Buffer.concat(await collect(store.open(descriptor))).equals(bytes)).toBe(true)
  }
}

const KINDS: Record<string, () => ContentStore> = {
  memory: () => memoryStore(),
  layout: () => layoutStore(openImageLayout(join(directory, 'layout'))),
  'other layout': () => layoutStore(openImageLayout(join(directory, 'other'))),
  registry: () => repository('team/from'),
  'other repository': () => repository('team/to'),
}

describe('copy', () => {
  it.each([
    ['memory', 'layout'],
    ['layout', 'other layout'],
    ['layout', 'registry'],
    ['registry', 'layout'],
    ['registry', 'other repository'],
    ['registry', 'memory'],
  ])('brings an index with all its platforms from %s to %s, to the byte', async (from, to) => {
    const [source, target] = [KINDS[from]?.(), KINDS[to]?.()]
    if (source === undefined || target === undefined) throw new Error('no such kind')
    const [old, name] = [nameIn(source, '1'), nameIn(target, '2')]
    await putAll(source, index, old)
    const result = await copy({ store: source, name: old }, { store: target, name })
    expect(result).toMatchObject({ descriptor: index.index.descriptor, unchanged: true })
    expect(await target.resolve(name)).toMatchObject(index.index.descriptor)
    await expectWhole(target, index)
    const again = await copy({ store: source, name: old }, { store: target, name })
    expect(again.transferred.stored.blobs).toBe(0)
    expect(again.transferred.mounted.blobs).toBe(0)
  })

  it('tells what it does, as events of the task and to a listener', async () => {
    const source = memoryStore()
    await putAll(source, index, 'a:1')
    const heard: CopyEvent[] = []
    const task = copy(
      { store: source, name: 'a:1' },
      { store: memoryStore(), name: 'b:2' },
      { onEvent: (event) => heard.push(event) },
    )
    const seen = await collect(task)
    await task
    expect(seen.map(({ type }) => type)).toEqual(heard.map(({ type }) => type))
    const types = heard.map(({ type }) => type)
    expect(types[0]).toBe('resolved')
    expect(types.slice(-2)).toEqual(['tagged', 'done'])
    expect(heard).toContainEqual({
      type: 'planned',
      documents: 4,
      blobs: 6,
      bytes: expect.any(Number),
    })
    expect(types.filter((type) => type === 'blob-done')).toHaveLength(6)
    expect(types.filter((type) => type === 'document-done')).toHaveLength(4)
  })

  it('puts children before parents and the name last', async () => {
    const source = memoryStore()
    await putAll(source, index, 'a:1')
    const target = memoryStore()
    const strict: ContentTarget = {
      ...target,
      async put(blob, options) {
        const part = partsOf(index).find(
          ({ descriptor }) => descriptor.digest === blob.descriptor.digest,
        )
        for (const child of childrenOf(part?.bytes)) expect(await target.has(child)).toBe(true)
        return target.put(blob, options)
      },
      async tag(name, descriptor) {
        for (const each of partsOf(index)) expect(await target.has(each.descriptor)).toBe(true)
        return target.tag(name, descriptor)
      },
    }
    await copy({ store: source, name: 'a:1' }, { store: strict, name: 'a:1' }, { concurrency: 8 })
    expect(await target.resolve('a:1')).toEqual(index.index.descriptor)
  })

  it('moves each blob once, however often it is used', async () => {
    const layer = makeLayer({ shared: 'x' })
    const images = ['amd64', 'arm64'].map((architecture) =>
      makeImage({ layers: [layer, layer], platform: { os: 'linux', architecture } }),
    )
    const shared = makeIndex(images)
    const [source, target] = [repository('team/from'), memoryStore()]
    await putAll(source, shared, '1')
    registry.requests.length = 0
    await copy({ store: source, name: '1' }, { store: target, name: 'a:1' })
    const fetched = registry.requests.filter(({ path }) => path.includes(`/blobs/${layer.digest}`))
    expect(fetched).toHaveLength(1)
    await expectWhole(target, shared)
  })

  it('mounts blobs within a registry instead of sending them', async () => {
    await putAll(repository('team/from'), index, '1')
    registry.requests.length = 0
    const { transferred } = await copy(
      { store: repository('team/from'), name: '1' },
      { store: repository('team/to'), name: '1' },
    )
    expect(transferred).toMatchObject({ mounted: { blobs: 6 }, stored: { blobs: 0 } })
    expect(
      registry.requests.filter(({ method, path }) => method === 'GET' && path.includes('/blobs/')),
    ).toEqual([])
    await expectWhole(repository('team/to'), index)
  })

  it('asks a registry that has the index for nothing below it', async () => {
    await putAll(repository('team/from'), index, '1')
    await putAll(repository('team/to'), index)
    registry.requests.length = 0
    await copy(
      { store: repository('team/from'), name: '1' },
      { store: repository('team/to'), name: '2' },
    )
    expect(registry.requests.filter(({ path }) => path.includes('team/to/blobs'))).toEqual([])
    expect(registry.tags('team/to')).toEqual(['2'])
  })

  describe('for some platforms', () => {
    let source: ContentStore
    beforeEach(async () => {
      source = memoryStore()
      await putAll(source, index, 'a:1')
    })

    it('takes one manifest, with its digest and nothing of the others', async () => {
      const target = memoryStore()
      const end = { store: target, name: 'a:1' }
      const result = await copy({ store: source, name: 'a:1' }, end, { platform: arm64 })
      const [other, image] = index.images
      expect(result.unchanged).toBe(false)
      expect(await target.resolve('a:1')).toMatchObject(image?.manifest.descriptor ?? {})
      expect(await target.has(other?.manifest.descriptor ?? index.index.descriptor)).toBe(false)
      if (image !== undefined) await expectWhole(target, image)
    })

    it('makes a smaller index, in which all that stays is as it was', async () => {
      const target = memoryStore()
      const end = { store: target, name: 'a:1' }
      const platforms = [amd64, arm64]
      const { descriptor } = await copy({ store: source, name: 'a:1' }, end, { platforms })
      expect(descriptor.digest).not.toBe(index.index.descriptor.digest)
      const bytes = Buffer.from((await target.read(descriptor)) ?? '')
      const whole = JSON.parse(index.index.bytes.toString())
      expect(JSON.parse(bytes.toString())).toEqual({
        ...whole,
        manifests: whole.manifests.slice(0, 2),
      })
      for (const image of index.images.slice(0, 2)) await expectWhole(target, image)
      const left = index.images[2]?.manifest.descriptor
      expect(left && (await target.has(left))).toBe(false)
    })

    it('leaves the index alone if these are all', async () => {
      const s390x = { os: 'linux', architecture: 's390x' }
      const options = { platforms: [amd64, arm64, s390x] }
      const end = { store: memoryStore(), name: 'a:1' }
      const result = await copy({ store: source, name: 'a:1' }, end, options)
      expect(result).toMatchObject({ descriptor: index.index.descriptor, unchanged: true })
    })

    it('keeps the attestations of what stays', async () => {
      const [first, second] = index.images.map(({ manifest }) => manifest.descriptor)
      const attestation = (about: Descriptor | undefined) => ({
        image: imageOf(`attestation of ${about?.digest}`),
        annotations: {
          'vnd.docker.reference.digest': about?.digest ?? '',
          'vnd.docker.reference.type': 'attestation-manifest',
        },
      })
      const attestations = [attestation(first), attestation(second)]
      const unknown = { os: 'unknown', architecture: 'unknown' }
      const extra = attestations.map(({ image, annotations }) => {
        return { ...image.manifest.descriptor, annotations, platform: unknown }
      })
      const attested = makeIndex(index.images, { extra })
      for (const { image } of attestations) await putAll(source, image)
      await putAll(source, attested, 'attested:1')
      const target = memoryStore()
      const end = { store: target, name: 'a:1' }
      await copy({ store: source, name: 'attested:1' }, end, { platforms: [amd64] })
      const there = await Promise.all(attestations.map(({ image }) => target.has(topOf(image))))
      expect(there).toEqual([true, false])
    })

    it('fails where there is no such platform, saying which there are', async () => {
      const mips = { os: 'linux', architecture: 'mips' }
      await putAll(source, imageOf('x'), 'single:1')
      for (const options of [{ platform: mips }, { platforms: [amd64, mips] }]) {
        for (const name of ['a:1', 'single:1']) {
          if (name === 'single:1' && 'platforms' in options) continue
          await expect(
            copy({ store: source, name }, { store: memoryStore(), name }, options),
          ).rejects.toMatchObject({
            code: 'ERR_REGISTRY_NO_PLATFORM',
            available: expect.arrayContaining(['linux/amd64']),
          })
        }
      }
    })
  })

  it.each([true, false])(
    'takes along what is about it, and about that (referrers API: %s)',
    async (referrers) => {
      await using other = await createTestRegistry({ referrers })
      const target = registryStore(client, `${other.host}/team/to`)
      const source = layoutStore(openImageLayout(directory))
      await putAll(source, index, 'a:1')
      const [first] = index.images
      if (first === undefined) throw new Error('an index without images')
      const sbom = referrerTo(topOf(first), 'sbom')
      const signature = referrerTo(
        sbom.manifest.descriptor,
        'signature of the sbom',
        'text/signature',
      )
      const more = referrerTo(topOf(index), 'about the index')
      for (const each of [sbom, signature, more]) await putAll(source, each)
      const from = { store: source, name: 'a:1' }
      await copy(from, { store: target, name: '1' })
      expect(await collect(target.referrers(topOf(index)))).toEqual([])
      await copy(from, { store: target, name: '1' }, { referrers: true })
      for (const [subject, referrer] of [
        [topOf(first), sbom],
        [sbom.manifest.descriptor, signature],
        [topOf(index), more],
      ] as const) {
        const found = await collect(target.referrers(subject))
        expect(found.map(({ digest }) => digest)).toEqual([referrer.manifest.descriptor.digest])
        expect(await target.has(referrer.blob.descriptor)).toBe(true)
      }
    },
  )

  it('takes along tags that are made of digests', async () => {
    const source = repository('team/from')
    const [first] = index.images
    await putAll(source, index, '1')
    const signature = imageOf('signature')
    const tag = `${(first ? topOf(first) : topOf(index)).digest.replace(':', '-')}.sig`
    await putAll(source, signature, tag)
    await putAll(source, imageOf('other'), `sha256-${'0'.repeat(64)}.sig`)
    const layout = layoutStore(openImageLayout(directory))
    const result = await copy(
      { store: source, name: '1' },
      { store: layout, name: 'mirror/app:1' },
      { digestTags: true },
    )
    expect(result.digestTags).toEqual([tag])
    expect(await collect(layout.names())).toEqual([`mirror/app:${tag}`, 'mirror/app:1'])
    await copy(
      { store: layout, name: 'mirror/app:1' },
      { store: repository('team/to'), name: '2' },
      { digestTags: true },
    )
    expect(registry.tags('team/to')).toEqual(['2', tag])
    expect(registry.manifest('team/to', tag)?.descriptor.digest).toBe(topOf(signature).digest)
  })

  it('goes on after a failure from what is there', async () => {
    const image = makeImage({
      layers: ['a', 'b', 'c'].map((content) => makeLayer({ [content]: content.repeat(50_000) })),
    })
    registry.addImage('team/from:1', image)
    const layer = image.layers[2]?.digest ?? ''
    registry.addFault({ on: 'blob', type: 'status', status: 404, path: layer, times: 100 })
    const from = { store: repository('team/from'), name: '1' }
    const target = { store: layoutStore(openImageLayout(directory)), name: 'a:1' }
    await expect(copy(from, target, { concurrency: 1 })).rejects.toMatchObject({
      code: 'ERR_REGISTRY_NOT_FOUND',
    })
    expect(await target.store.resolve('a:1')).toBeUndefined()
    registry.clearFaults()
    registry.requests.length = 0
    const { transferred } = await copy(from, target)
    const fetched = registry.requests.filter(({ path }) => path.includes('/blobs/'))
    expect(fetched.length).toBe(transferred.stored.blobs)
    expect(transferred.exists.blobs).toBeGreaterThan(0)
    await expectWhole(target.store, image)
  })

  it('survives connections that are cut at both ends', async () => {
    const image = makeImage({
      layers: [makeLayer({ a: 'a'.repeat(300_000) }, { compression: 'none' })],
    })
    await using other = await createTestRegistry()
    registry.addImage('team/from:1', image)
    registry.addFault({ on: 'blob', type: 'cut', afterBytes: 100_000, times: 2 })
    other.addFault({ on: 'upload', type: 'cut-upload', afterBytes: 50_000, times: 1 })
    const target = registryStore(client, `${other.host}/team/to`)
    await copy({ store: repository('team/from'), name: '1' }, { store: target, name: '1' })
    await expectWhole(target, image)
    expect(other.openUploads).toBe(0)
  })

  it('never puts what is not what it should be', async () => {
    const image = imageOf('a')
    registry.addImage('team/from:1', image)
    registry.addFault({ on: 'blob', type: 'corrupt', times: 100 })
    await using other = await createTestRegistry()
    for (const store of [
      memoryStore(),
      layoutStore(openImageLayout(directory)),
      registryStore(client, `${other.host}/team/to`),
    ]) {
      const name = nameIn(store, '1')
      await expect(
        copy({ store: repository('team/from'), name: '1' }, { store, name }),
      ).rejects.toMatchObject({ code: expect.stringMatching(/DIGEST_MISMATCH|SOURCE_CHANGED/) })
      expect(await store.resolve(name)).toBeUndefined()
      for (const { descriptor } of partsOf(image)) expect(await store.has(descriptor)).toBe(false)
    }
  })

  it('stops when it is told to, and lets go of everything', async () => {
    const image = makeImage({
      layers: [makeLayer({ a: 'a'.repeat(300_000) }, { compression: 'none' })],
    })
    registry.addImage('team/from:1', image)
    registry.addFault({ on: 'blob', type: 'stall', afterBytes: 100_000, times: 100 })
    const controller = new AbortController()
    const target = { store: layoutStore(openImageLayout(directory)), name: 'a:1' }
    const task = copy({ store: repository('team/from'), name: '1' }, target, {
      signal: controller.signal,
      onEvent: ({ type }) => {
        if (type === 'blob-progress') controller.abort(new Error('enough'))
      },
    })
    await expect(task).rejects.toMatchObject({ code: 'ERR_REGISTRY_ABORTED' })
    expect(await readdir(join(directory, 'leases'))).toEqual([])
    expect(
      (await readdir(join(directory, 'partial'))).filter((name) => name.endsWith('.lock')),
    ).toEqual([])
  })

  it('protects what it copies from collections while it copies', async () => {
    const layout = openImageLayout(directory)
    const source = memoryStore()
    await putAll(source, index, 'a:1')
    const target = layoutStore(layout)
    const collecting: ContentTarget = {
      ...target,
      async put(blob, options) {
        const outcome = await target.put(blob, options)
        await layout.gc({ graceMs: 0 })
        return outcome
      },
    }
    await copy({ store: source, name: 'a:1' }, { store: collecting, name: 'a:1' })
    expect((await layout.verify()).problems).toEqual([])
    expect(await layout.find(parseReference('a:1'), amd64)).toBeDefined()
  })

  it.each([
    ['no such name', 'none:1', 'ERR_REGISTRY_NOT_FOUND'],
    ['an index of which a part is missing', 'sparse:1', 'ERR_REGISTRY_NOT_FOUND'],
    ['a digest that is a path', 'path:1', 'ERR_REGISTRY_BAD_MANIFEST'],
    ['too many levels', 'deep:1', 'ERR_REGISTRY_BAD_MANIFEST'],
  ])('fails for %s', async (_what, name, code) => {
    const source = memoryStore()
    await putAll(source, index, 'a:1')
    const missing = { ...topOf(index), digest: `sha256:${'0'.repeat(64)}` }
    await storeAs(source, 'sparse:1', indexOf([missing]))
    const config = { mediaType: 'x', digest: 'sha256:../../x', size: 1 }
    const path = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociManifest, config, layers: [] }
    await storeAs(source, 'path:1', documentOf(MEDIA_TYPES.ociManifest, path))
    let top = topOf(index)
    for (let depth = 0; depth < 30; depth++) top = await storeAs(source, 'deep:1', indexOf([top]))
    await expect(
      copy({ store: source, name }, { store: memoryStore(), name: 'x' }),
    ).rejects.toMatchObject({ code })
  })

  it('refuses more than the limits allow, before anything moves', async () => {
    const source = memoryStore()
    await putAll(source, index, 'a:1')
    for (const limits of [{ blobBytes: 10 }, { totalBytes: 100 }]) {
      const target = memoryStore()
      await expect(
        copy({ store: source, name: 'a:1' }, { store: target }, { limits }),
      ).rejects.toMatchObject({ code: 'ERR_REGISTRY_TOO_LARGE' })
      for (const { descriptor } of partsOf(index)) expect(await target.has(descriptor)).toBe(false)
    }
  })

  it('leaves out layers that may not be distributed and are not there, and says so', async () => {
    const image = imageOf('a')
    const manifest = JSON.parse(image.manifest.bytes.toString())
    const foreign = {
      mediaType: MEDIA_TYPES.dockerForeignLayer,
      digest: `sha256:${'f'.repeat(64)}`,
      size: 10,
      urls: ['https://host.invalid/layer'],
    }
    manifest.layers.push(foreign)
    const source = memoryStore()
    await putAll(source, image)
    await storeAs(source, 'a:1', documentOf(MEDIA_TYPES.ociManifest, manifest))
    const events: CopyEvent[] = []
    await copy(
      { store: source, name: 'a:1' },
      { store: memoryStore(), name: 'a:1' },
      { onEvent: (event) => events.push(event) },
    )
    const warnings = events.filter(({ type }) => type === 'warning')
    expect(warnings).toMatchObject([{ message: expect.stringContaining(foreign.digest) }])
  })
})

function nameIn(store: ContentStore, tag: string): string {
  return store.repository === undefined ? `app:${tag}` : tag
}

function indexOf(manifests: Descriptor[]) {
  const mediaType = MEDIA_TYPES.ociIndex
  return documentOf(mediaType, { schemaVersion: 2, mediaType, manifests })
}

async function storeAs(
  store: ContentStore,
  name: string,
  { descriptor, bytes }: ReturnType<typeof documentOf>,
): Promise<Descriptor> {
  await store.put({
    descriptor,
    async *open() {
      yield bytes
    },
  })
  await store.tag(name, descriptor)
  return descriptor
}

function childrenOf(bytes: Buffer | undefined): Descriptor[] {
  try {
    const { manifests = [], layers = [], config } = JSON.parse(String(bytes))
    return [...manifests, ...layers, ...(config?.digest ? [config] : [])]
  } catch {
    return []
  }
}
