import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import { buffer } from 'node:stream/consumers'
import { afterEach, describe, expect, it } from 'vitest'
import { parseReference } from '../image/reference.ts'
import {
  createTestRegistry,
  makeImage,
  makeLayer,
  type TestRegistry,
  type TestRegistryOptions,
} from '../testing/index.ts'
import type { VerifiedBlob } from './blob.ts'
import { createRegistryClient, type RegistryClientOptions } from './registry-client.ts'

const MIB = 1024 * 1024
const layer = makeLayer({ big: Buffer.alloc(2 * MIB, 'big') }, { compression: 'none' })
const descriptor = { mediaType: layer.mediaType, digest: layer.digest, size: layer.size }
const open: Array<{ close(): Promise<void> }> = []

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

/** Each way to read a blob. */
const WAYS: Array<[string, (blob: VerifiedBlob) => Promise<Buffer>]> = [
  ['iteration', collect],
  ['a web stream', (blob) => buffer(blob.stream())],
  ["a stream of Node's", (blob) => buffer(blob.nodeStream())],
]

describe('client.blob', () => {
  it.each(WAYS)('gives all bytes by %s, and says that they are proven', async (_, read) => {
    const { client, name } = await start()
    const blob = client.blob(name, descriptor)
    expect(layer.blob.equals(await read(blob))).toBe(true)
    expect(await blob.verified).toBe(descriptor)
  })

  it('asks nobody before the first read', async () => {
    const { client, name, registry } = await start()
    const blob = client.blob(name, descriptor)
    blob.nodeStream()
    expect(registry.requests).toEqual([])
  })

  it.each(WAYS)('goes on by itself after each cut (%s)', async (_, read) => {
    const { client, name, registry } = await start()
    for (const afterBytes of [0, 1000, MIB]) {
      registry.addFault({ on: 'blob', type: 'cut', afterBytes })
    }
    expect(layer.blob.equals(await read(client.blob(name, descriptor)))).toBe(true)
    expect(rangesOf(registry)).toEqual([
      undefined,
      undefined,
      `bytes=1000-${layer.size - 1}`,
      `bytes=${MIB + 1000}-${layer.size - 1}`,
    ])
  })

  it('goes back to the registry when the URL that it led to has run out', async () => {
    const { client, name, registry } = await start({ redirectBlobs: { uses: 1 } })
    registry.addFault({ on: 'blob', type: 'cut', afterBytes: MIB })
    registry.addFault({ on: 'redirect', type: 'redirect', to: 'storage', lifeMs: 0, nth: 2 })
    expect(layer.blob.equals(await collect(client.blob(name, descriptor)))).toBe(true)
    const storage = registry.requests.filter(({ server }) => server === 'storage')
    expect(storage.map(({ status }) => status)).toEqual([200, 403, 206])
    expect(new Set(storage.map(({ path }) => path)).size).toBe(3)
  })

  it.each(WAYS)('fails at the end if a bit was wrong (%s)', async (_, read) => {
    const { client, name, registry } = await start()
    registry.addFault({ on: 'blob', type: 'corrupt' })
    const blob = client.blob(name, descriptor)
    const wrong = { code: 'ERR_REGISTRY_DIGEST_MISMATCH', expected: layer.digest }
    await expect(read(blob)).rejects.toMatchObject(wrong)
    await expect(blob.verified).rejects.toMatchObject(wrong)
  })

  it.each([1, -1])('fails if there are more or fewer bytes than described (%i)', async (bytes) => {
    const { client, name, registry } = await start()
    registry.addFault({ on: 'blob', type: 'resize', bytes })
    await expect(collect(client.blob(name, descriptor))).rejects.toMatchObject({
      code: 'ERR_REGISTRY_SIZE_MISMATCH',
    })
  })

  it('gives a range, of which nothing is proven', async () => {
    const { client, name, registry } = await start()
    const blob = client.blob(name, descriptor, { range: { offset: 1000, end: 3000 } })
    expect(layer.blob.subarray(1000, 3000).equals(await collect(blob))).toBe(true)
    expect(await blob.verified).toBeUndefined()
    expect(rangesOf(registry)).toEqual(['bytes=1000-2999'])
  })

  it('gives a range of a registry that has none', async () => {
    const { client, name, registry } = await start()
    registry.addFault({ on: 'blob', type: 'no-range' })
    const blob = client.blob(name, descriptor, { range: { offset: 1000, end: 3000 } })
    expect(layer.blob.subarray(1000, 3000).equals(await collect(blob))).toBe(true)
  })

  it('is read once', async () => {
    const { client, name } = await start()
    const blob = client.blob(name, descriptor)
    await collect(blob)
    await expect(collect(blob)).rejects.toMatchObject({ code: 'ERR_REGISTRY_CONSUMED' })
    expect(() => blob.stream()).toThrow(expect.objectContaining({ code: 'ERR_REGISTRY_CONSUMED' }))
  })

  it('stops with the signal', async () => {
    const { client, name, registry } = await start()
    registry.addFault({ on: 'blob', type: 'stall', afterBytes: 1000 })
    const controller = new AbortController()
    const blob = client.blob(name, descriptor, { signal: controller.signal })
    const read = async () => {
      for await (const _ of blob) controller.abort(new Error('enough'))
    }
    const stopped = { code: 'ERR_REGISTRY_ABORTED', cause: new Error('enough') }
    await expect(read()).rejects.toMatchObject(stopped)
    await expect(blob.verified).rejects.toMatchObject(stopped)
  })
})

describe('client.blob, when the rest is not wanted', () => {
  const LEAVING: Array<[string, (blob: VerifiedBlob) => Promise<void>]> = [
    [
      'an iteration is left',
      async (blob) => {
        for await (const _ of blob) break
      },
    ],
    [
      'a web stream is cancelled while a read waits',
      async (blob) => {
        const reader = blob.stream().getReader()
        await reader.read()
        const waiting = reader.read().catch(() => {})
        await reader.cancel()
        await waiting
      },
    ],
    [
      "a stream of Node's is destroyed",
      async (blob) => {
        const stream = blob.nodeStream()
        await once(stream, 'readable')
        stream.destroy()
        await once(stream, 'close')
      },
    ],
  ]

  it.each(LEAVING)('gives the connection back when %s', async (_, leave) => {
    // One place for all: what kept it would keep the next request waiting for ever.
    const { client, name, registry } = await start({}, { concurrency: { perHost: 1 } })
    registry.addFault({ on: 'blob', type: 'stall', afterBytes: 1000 })
    const blob = client.blob(name, descriptor)
    await leave(blob)
    await expect(blob.verified).rejects.toMatchObject({ code: 'ERR_REGISTRY_ABORTED' })
    expect(layer.blob.equals(await collect(client.blob(name, descriptor)))).toBe(true)
  })
})

describe('client.blobSource', () => {
  it('is read again, from any offset', async () => {
    const { client, name } = await start()
    const source = client.blobSource(name, descriptor)
    for (const offset of [0, 1, MIB, layer.size]) {
      expect(layer.blob.subarray(offset).equals(await collect(source.open(offset)))).toBe(true)
    }
  })
})

describe('client.readBlob', () => {
  it('asks nobody for what the descriptor brings along, unless it is something else', async () => {
    const { client, name, registry, config } = await start()
    const data = config.bytes.toString('base64')
    expect(await client.readBlob(name, { ...config.descriptor, data })).toEqual(config.bytes)
    expect(registry.requests).toEqual([])
    const wrong = Buffer.from('something else').toString('base64')
    const read = await client.readBlob(name, { ...config.descriptor, data: wrong })
    expect(config.bytes.equals(read)).toBe(true)
  })
})

async function start(options: TestRegistryOptions = {}, settings: RegistryClientOptions = {}) {
  const registry = await createTestRegistry(options)
  open.push(registry)
  const image = makeImage({ layers: [layer] })
  registry.addImage('team/app:1', image)
  const client = createRegistryClient({ retry: { baseMs: 1 }, ...settings })
  open.push(client)
  const name = parseReference(`${registry.host}/team/app:1`)
  return { registry, client, name, config: image.config }
}

async function collect(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of bytes) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function rangesOf(registry: TestRegistry) {
  const blobs = registry.requests.filter(({ path }) => path.includes('/blobs/'))
  return blobs.map(({ headers }) => headers.range)
}
