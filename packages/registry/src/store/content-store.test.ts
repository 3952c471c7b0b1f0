import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { bytesSource } from '../client/blob-source.ts'
import { createRegistryClient } from '../client/registry-client.ts'
import { digestOf } from '../image/digest.ts'
import { openImageLayout } from '../layout/image-layout.ts'
import { createTestRegistry, makeIndex } from '../testing/index.ts'
import { collect, imageOf, partsOf, putAll, referrerTo, topOf } from './content.test.fixture.ts'
import type { ContentStore } from './content-store.ts'
import { layoutStore } from './layout-store.ts'
import { memoryStore } from './memory-store.ts'
import { registryStore } from './registry-store.ts'

interface Opened {
  store: ContentStore
  /** In the form that this store's names have. */
  name: (tag: string) => string
  close(): Promise<void>
}

const STORES: Record<string, () => Promise<Opened>> = {
  memory: async () => ({ store: memoryStore(), name: (tag) => `app:${tag}`, async close() {} }),
  'an OCI image layout': async () => {
    const directory = await mkdtemp(join(tmpdir(), 'cromwell-store-'))
    return {
      store: layoutStore(openImageLayout(directory)),
      name: (tag) => `app:${tag}`,
      close: () => rm(directory, { recursive: true }),
    }
  },
  'a repository of a registry': async () => {
    const registry = await createTestRegistry()
    const client = createRegistryClient({ retry: { baseMs: 1 } })
    return {
      store: registryStore(client, `${registry.host}/team/app`),
      name: (tag) => tag,
      async close() {
        await client.close()
        await registry.close()
      },
    }
  },
  'a repository of a registry without lists of referrers': async () => {
    const registry = await createTestRegistry({ referrers: false })
    const client = createRegistryClient({ retry: { baseMs: 1 } })
    return {
      store: registryStore(client, `${registry.host}/team/app`),
      name: (tag) => tag,
      async close() {
        await client.close()
        await registry.close()
      },
    }
  },
}

describe.each(Object.entries(STORES))('%s as a content store', (_, open) => {
  let opened: Opened
  let store: ContentStore
  let name: Opened['name']

  beforeEach(async () => {
    opened = await open()
    store = opened.store
    name = opened.name
  })
  afterEach(() => opened.close())

  it('has nothing at first', async () => {
    const { descriptor } = imageOf('a').manifest
    expect(await store.resolve(name('1'))).toBeUndefined()
    expect(await store.resolve(descriptor.digest)).toBeUndefined()
    expect(await store.has(descriptor)).toBe(false)
    expect(await store.read(descriptor)).toBeUndefined()
    expect(await store.untag(name('1'))).toBe(false)
    expect(await collect(store.names())).toEqual([])
    expect(await collect(store.referrers(descriptor))).toEqual([])
    await expect(collect(store.open(descriptor))).rejects.toMatchObject({
      code: 'ERR_REGISTRY_NOT_FOUND',
    })
    await expect(store.tag(name('1'), descriptor)).rejects.toMatchObject({
      code: expect.stringMatching(/NOT_FOUND|LAYOUT/),
    })
  })

  it('gives back what was put, by name, by digest, from any offset', async () => {
    const index = makeIndex([imageOf('a'), imageOf('b', 'arm64')])
    await putAll(store, index, name('1'))
    expect(await store.resolve(name('1'))).toEqual(index.index.descriptor)
    expect(await store.resolve(index.index.descriptor.digest)).toMatchObject(index.index.descriptor)
    const child = index.images[1]?.manifest.descriptor
    expect(await store.resolve(child?.digest ?? '')).toMatchObject({ digest: child?.digest })
    for (const { descriptor, bytes } of partsOf(index)) {
      expect(await store.has(descriptor)).toBe(true)
      expect(await store.read(descriptor)).toEqual(bytes)
      for (const offset of [0, 1, bytes.length]) {
        const found = Buffer.concat(await collect(store.open(descriptor, offset)))
        expect(found.equals(bytes.subarray(offset))).toBe(true)
      }
    }
  })

  it('says how content came to be there', async () => {
    const [layer] = partsOf(imageOf('a'))
    const source = bytesSource(layer?.bytes ?? Buffer.of(), layer?.descriptor)
    const seen: number[] = []
    expect(await store.put(source, { onProgress: (bytes) => seen.push(bytes) })).toBe('stored')
    expect(seen.at(-1)).toBe(layer?.bytes.length)
    expect(await store.put(source)).toBe('exists')
  })

  it('lets a name move on, and forgets it', async () => {
    const [first, second] = [imageOf('a'), imageOf('b')]
    await putAll(store, first, name('1'))
    await putAll(store, second, name('1'))
    await putAll(store, second, name('2'))
    expect(await store.resolve(name('1'))).toMatchObject(topOf(second))
    expect((await collect(store.names())).sort()).toEqual([name('1'), name('2')])
    expect(await store.untag(name('1'))).toBe(true)
    expect(await store.resolve(name('1'))).toBeUndefined()
    expect(await collect(store.names())).toEqual([name('2')])
  })

  it.each([
    ['other bytes', Buffer.from('other')],
    ['too few', Buffer.from('byte')],
    ['too many', Buffer.from('other and more')],
  ])('shows nobody %s than were announced', async (_what, sent) => {
    const code = expect.stringMatching(/DIGEST_MISMATCH|SIZE_MISMATCH|SOURCE_CHANGED/)
    const bytes = Buffer.from('bytes')
    for (const mediaType of ['text/plain', 'application/vnd.oci.image.manifest.v1+json']) {
      const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length }
      const { open } = bytesSource(sent)
      const source = { descriptor, open }
      await expect(store.put(source)).rejects.toMatchObject({ code })
      expect(await store.has(descriptor)).toBe(false)
    }
  })

  it('finds what is about a manifest, by type', async () => {
    const image = imageOf('a')
    const subject = image.manifest.descriptor
    const sbom = referrerTo(subject, 'sbom')
    const signature = referrerTo(subject, 'signature', 'text/signature')
    await putAll(store, image, name('1'))
    await putAll(store, sbom)
    await putAll(store, signature)
    await putAll(store, signature)
    const found = await collect(store.referrers(subject))
    expect(found).toHaveLength(2)
    expect(found).toContainEqual({
      ...sbom.manifest.descriptor,
      artifactType: 'text/sbom',
      annotations: { about: 'sbom' },
    })
    const [only, ...others] = await collect(
      store.referrers(subject, { artifactType: 'text/signature' }),
    )
    expect(only).toMatchObject(signature.manifest.descriptor)
    expect(others).toEqual([])
    expect(await collect(store.names())).toEqual([name('1')])
  })

  it('keeps nothing of a put that was aborted, but goes on with it later', async () => {
    const [layer] = partsOf(imageOf('x'.repeat(100_000)))
    if (layer === undefined) throw new Error('an image without a layer')
    const controller = new AbortController()
    const offsets: number[] = []
    const source = {
      descriptor: layer.descriptor,
      async *open(offset: number) {
        offsets.push(offset)
        yield layer.bytes.subarray(offset, offset + 10)
        controller.abort(new Error('enough'))
        yield layer.bytes.subarray(offset + 10)
      },
    }
    await store.put(source, { signal: controller.signal }).catch((error) => {
      expect(error).toMatchObject({ code: 'ERR_REGISTRY_ABORTED' })
    })
    await store.put(bytesSource(layer.bytes, layer.descriptor))
    expect(await store.has(layer.descriptor)).toBe(true)
  })
})

describe('a layout as a content store', () => {
  it('goes on where a put broke off, and starts over where that was damaged', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'cromwell-store-'))
    const store = layoutStore(openImageLayout(directory))
    const [layer] = partsOf(imageOf('a'))
    if (layer === undefined) throw new Error('an image without a layer')
    const broken = (bytes: Buffer) => ({
      descriptor: layer.descriptor,
      async *open() {
        yield bytes
        throw new Error('broken')
      },
    })
    const offsets: number[] = []
    const whole = {
      descriptor: layer.descriptor,
      async *open(offset: number) {
        offsets.push(offset)
        yield layer.bytes.subarray(offset)
      },
    }
    await expect(store.put(broken(layer.bytes.subarray(0, 20)))).rejects.toThrow('broken')
    expect(await store.put(whole)).toBe('stored')
    expect(offsets).toEqual([20])
    await rm(join(directory, 'blobs'), { recursive: true })
    await expect(store.put(broken(Buffer.alloc(20, 'x')))).rejects.toThrow('broken')
    expect(await store.put(whole)).toBe('stored')
    expect(offsets).toEqual([20, 20, 0])
    expect(await readdir(join(directory, 'partial'))).toEqual([])
    await rm(directory, { recursive: true })
  })
})

describe('a repository as a content store', () => {
  it('has names of its own repository only, in all their forms', async () => {
    await using registry = await createTestRegistry()
    await using client = createRegistryClient()
    const store = registryStore(client, `${registry.host}/team/app`)
    const image = imageOf('a')
    await putAll(store, image, `${registry.host}/team/app:1`)
    expect(registry.tags('team/app')).toEqual(['1'])
    for (const name of ['1', `${registry.host}/team/app:1`, topOf(image).digest]) {
      expect(await store.resolve(name)).toEqual(topOf(image))
    }
    for (const name of ['team/app:1', `${registry.host}/team/other:1`]) {
      await expect(store.resolve(name)).rejects.toMatchObject({
        code: 'ERR_REGISTRY_BAD_REFERENCE',
      })
    }
  })
})
