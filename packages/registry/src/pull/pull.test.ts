import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createRegistryClient, type RegistryClientOptions } from '../client/registry-client.ts'
import { digestOf } from '../image/digest.ts'
import { MEDIA_TYPES } from '../image/media-types.ts'
import { hostPlatform } from '../image/platform.ts'
import { parseReference } from '../image/reference.ts'
import { type ImageLayout, openImageLayout } from '../layout/image-layout.ts'
import {
  createTestRegistry,
  makeImage,
  makeIndex,
  makeLayer,
  type TestLayer,
  type TestRegistry,
  type TestRegistryOptions,
} from '../testing/index.ts'
import { type PullOptions, pull } from './pull.ts'
import type { PullEvent } from './pull-event.ts'

const MIB = 1024 * 1024
const big = makeLayer({ big: incompressible(3 * MIB) }, { compression: 'none' })
const small = makeLayer({ small: 'small' })
const image = makeImage({ layers: [big, small], config: { Cmd: ['/bin/sh'] } })
const index = makeIndex([
  image,
  makeImage({ layers: [small], platform: { os: 'linux', architecture: 's390x' } }),
])

let directory: string
let layout: ImageLayout
const open: Array<{ close(): Promise<void> }> = []

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cromwell-pull-'))
  layout = openImageLayout(directory)
})

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
  await rm(directory, { recursive: true, force: true })
})

describe('pull', () => {
  it('keeps the layers that another image brought, when that is removed meanwhile', async () => {
    const registry = await start()
    const other = makeImage({ layers: [small], config: { Cmd: ['other'] } })
    registry.addImage('library/other:1', other)
    const otherName = parseReference(`${registry.host}/library/other:1`)
    const client = createRegistryClient()
    open.push(client)
    await pull(otherName, layout, { client })
    const removing: ImageLayout = {
      ...layout,
      async tag(...given) {
        await layout.remove(otherName)
        await layout.tag(...given)
      },
    }
    const { image: pulledImage } = await pull(nameAt(registry), removing, { client })
    expect(await layout.list()).toHaveLength(1)
    expect(await layout.find(nameAt(registry))).toEqual(pulledImage)
    expect((await layout.verify()).problems).toEqual([])
    expect(await readdir(join(directory, 'leases'))).toEqual([])
  })

  it('brings an image into the layout, by challenge, token, index, manifest and blobs', async () => {
    const registry = await start({ auth: 'token', redirectBlobs: true })
    const { result, events } = await pulled(registry)
    expect(result.status).toBe('downloaded')
    expect(result.image).toMatchObject({
      name: `${registry.host}/library/app:1`,
      resolvedDigest: index.index.descriptor.digest,
      configDigest: image.config.descriptor.digest,
      manifest: { digest: image.manifest.descriptor.digest, platform: hostPlatform() },
      layers: [{ digest: big.digest, diffId: big.diffId }, { digest: small.digest }],
    })
    expect(await layout.find(nameAt(registry))).toEqual(result.image)
    await expectBlobs(big, small)
    expect(typesOf(events)).toEqual(
      expect.arrayContaining(['resolve', 'resolved', 'layer-start', 'layer-done']),
    )
    expect(events.at(-1)).toEqual({
      type: 'done',
      digest: index.index.descriptor.digest,
      status: 'downloaded',
    })
  })

  it('transfers nothing if the name still stands for what is stored', async () => {
    const registry = await start({ auth: 'token' })
    await pulled(registry)
    registry.requests.length = 0
    const { result, events } = await pulled(registry)
    expect(result.status).toBe('up-to-date')
    expect(typesOf(events)).toEqual(['resolve', 'done'])
    expect(registry.requests.filter(({ server }) => server === 'registry').at(-1)).toMatchObject({
      method: 'HEAD',
      status: 200,
    })
    expect(registry.requests.some(({ path }) => path.includes('/blobs/'))).toBe(false)
  })

  it('asks nobody about a digest that is stored, and names it', async () => {
    const registry = await start()
    await pulled(registry)
    registry.requests.length = 0
    for (const digest of [index.index.descriptor.digest, image.manifest.descriptor.digest]) {
      const { result } = await pulled(registry, { name: `library/app@${digest}` })
      expect(result.status).toBe('up-to-date')
    }
    expect(registry.requests).toEqual([])
    expect(await layout.list()).toHaveLength(3)
  })

  it('fetches only what changed when the name moved on', async () => {
    const registry = await start()
    await pulled(registry)
    const added = makeLayer({ added: 'added' })
    registry.addImage('library/app:1', makeImage({ layers: [big, small, added] }))
    registry.requests.length = 0
    const { result, events } = await pulled(registry)
    expect(result).toMatchObject({ status: 'downloaded', image: { layers: { length: 3 } } })
    expect(blobRequests(registry, big)).toEqual([])
    expect(blobRequests(registry, small)).toEqual([])
    expect(events.filter(({ type }) => type === 'layer-exists')).toHaveLength(2)
    expect(await layout.list()).toHaveLength(1)
  })

  it('repairs an image whose blobs were deleted or cut', async () => {
    const registry = await start()
    await pulled(registry)
    await rm(layout.blobPath(small.digest))
    await truncate(layout.blobPath(big.digest), 100)
    await rm(layout.blobPath(image.config.descriptor.digest))
    expect((await pulled(registry)).result.status).toBe('downloaded')
    await expectBlobs(big, small)
  })

  it('stores an image of Docker media types under OCI ones, with the same blobs', async () => {
    const registry = await start()
    const docker = makeImage({ layers: [small], format: 'docker' })
    registry.addImage('library/docker:1', makeIndex([docker], { format: 'docker' }))
    const { result } = await pulled(registry, { name: 'library/docker:1' })
    expect(result.image).toMatchObject({
      manifest: { mediaType: MEDIA_TYPES.ociManifest },
      configDigest: docker.config.descriptor.digest,
      layers: [{ mediaType: MEDIA_TYPES.ociLayerGzip, digest: small.digest }],
    })
    const again = await pulled(registry, { name: 'library/docker:1' })
    expect(again.result).toEqual({ status: 'up-to-date', image: result.image })
  })

  it('pulls an image that has no index, and one whose layers repeat', async () => {
    const registry = await start()
    registry.addImage('library/plain', makeImage({ layers: [small, small] }))
    const { result } = await pulled(registry, { name: 'library/plain' })
    expect(result.image.layers).toHaveLength(2)
    expect(result.image.manifest.platform).toEqual(hostPlatform())
    expect(blobRequests(registry, small)).toHaveLength(1)
  })

  it('pulls an image without layers', async () => {
    const registry = await start()
    registry.addImage('library/empty', makeImage({ layers: [] }))
    expect((await pulled(registry, { name: 'library/empty' })).result.image.layers).toEqual([])
  })

  it('downloads three layers at a time', async () => {
    const registry = await start()
    const layers = Array.from({ length: 7 }, (_, i) => makeLayer({ file: `${i}` }))
    registry.addImage('library/many', makeImage({ layers }))
    registry.addFault({ on: 'blob', type: 'drip', bytes: 40, everyMs: 10, times: 8 })
    const { events } = await pulled(registry, { name: 'library/many' })
    let [now, most] = [0, 0]
    for (const { type } of events) {
      if (type === 'layer-start') most = Math.max(most, ++now)
      if (type === 'layer-done') now -= 1
    }
    expect(most).toBe(3)
    expect(events.filter(({ type }) => type === 'layer-waiting')).toHaveLength(4)
  })
})

describe('pull, for a platform', () => {
  it('is up to date with an older variant as long as there is no better one', async () => {
    const registry = await start()
    const arm = (variant: string) => ({ os: 'linux', architecture: 'arm', variant })
    const old = makeImage({ layers: [small], platform: arm('v6') })
    registry.addImage('library/arm', makeIndex([old]))
    const settings = { name: 'library/arm', platform: arm('v7') }
    expect((await pulled(registry, settings)).result.status).toBe('downloaded')
    expect((await pulled(registry, settings)).result.status).toBe('up-to-date')
    const better = makeImage({ layers: [small], platform: arm('v7') })
    registry.addImage('library/arm', makeIndex([old, better]))
    expect((await pulled(registry, settings)).result).toMatchObject({
      status: 'downloaded',
      image: { config: arm('v7') },
    })
  })

  it('takes the one asked for, and replaces what the name stood for', async () => {
    const registry = await start()
    await pulled(registry)
    const platform = { os: 'linux', architecture: 's390x' }
    const { result } = await pulled(registry, { platform })
    expect(result).toMatchObject({ status: 'downloaded', image: { config: platform } })
    expect(await layout.list()).toHaveLength(1)
    expect((await pulled(registry, { platform })).result.status).toBe('up-to-date')
    expect((await pulled(registry)).result.image.config.architecture).toBe(
      hostPlatform().architecture,
    )
  })

  it('lists what there is instead of what there is not', async () => {
    const registry = await start()
    const failure = await failed(registry, { platform: { os: 'linux', architecture: 'mips' } })
    expect(failure).toMatchObject({
      code: 'ERR_REGISTRY_NO_PLATFORM',
      available: expect.arrayContaining(['linux/s390x']),
    })
    const only = { os: 'linux', architecture: 's390x' }
    registry.addImage('library/one', makeImage({ layers: [small], platform: only }))
    const platform = { os: 'linux', architecture: 'arm64' }
    expect(await failed(registry, { name: 'library/one', platform })).toMatchObject({
      code: 'ERR_REGISTRY_NO_PLATFORM',
      available: ['linux/s390x'],
    })
  })

  it('warns when an image without index is for another machine', async () => {
    const registry = await start()
    const platform = { os: 'linux', architecture: 's390x' }
    registry.addImage('library/one', makeImage({ layers: [small], platform }))
    const { events } = await pulled(registry, { name: 'library/one' })
    expect(events).toContainEqual({
      type: 'warning',
      message: expect.stringContaining('is for linux/s390x'),
    })
  })
})

describe('pull, when transfers break', () => {
  it.each([false, true])('goes on after each cut (blobs redirected: %s)', async (redirectBlobs) => {
    const registry = await start({ redirectBlobs })
    for (const afterBytes of [0, 1, 2 * MIB]) {
      registry.addFault({ on: 'blob', path: big.digest, type: 'cut', afterBytes })
    }
    const { events } = await pulled(registry)
    expect(events.filter(({ type }) => type === 'layer-retry')).toHaveLength(3)
    expect(rangesOf(registry, big)).toEqual([
      undefined,
      undefined,
      `bytes=1-${big.size - 1}`,
      `bytes=${2 * MIB + 1}-${big.size - 1}`,
    ])
    await expectBlobs(big)
  })

  it('goes on in a later pull with what an earlier one left', async () => {
    const registry = await start()
    registry.addFault({ on: 'blob', path: big.digest, type: 'cut', afterBytes: 2 * MIB })
    expect(await failed(registry, { retry: { attempts: 1 } })).toMatchObject({
      code: 'ERR_REGISTRY_UNREACHABLE',
    })
    expect(await layout.find(nameAt(registry))).toBeUndefined()
    const { events } = await pulled(registry)
    expect(events).toContainEqual({
      type: 'layer-start',
      digest: big.digest,
      size: big.size,
      offset: 2 * MIB,
    })
    expect(rangesOf(registry, big)).toEqual([undefined, `bytes=${2 * MIB}-${big.size - 1}`])
    await expectBlobs(big)
  })

  it('goes on after the process was killed in the middle', async () => {
    const registry = await start()
    registry.addFault({ on: 'blob', path: big.digest, type: 'stall', afterBytes: 2 * MIB })
    const built = new URL('../../dist/index.js', import.meta.url).href
    const script = `
      import { createRegistryClient, openImageLayout, pull } from '${built}'
      const layout = openImageLayout(${JSON.stringify(directory)})
      const onEvent = (e) => console.log(JSON.stringify(e))
      await pull('${registry.host}/library/app:1', layout, { client: createRegistryClient(), onEvent })`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script])
    const partial = join(directory, 'partial', big.digest.replace(':', '-'))
    // Bytes are written half a mebibyte at a time, so that some are on disk while the transfer stalls.
    while ((await sizeOf(partial)) < MIB) await new Promise((resolve) => setTimeout(resolve, 10))
    child.kill('SIGKILL')
    await once(child, 'close')
    const { result, events } = await pulled(registry)
    expect(result.status).toBe('downloaded')
    const started = events.find((e) => e.type === 'layer-start' && e.digest === big.digest)
    expect(started).toMatchObject({ offset: expect.toSatisfy((offset) => offset >= MIB) })
    await expectBlobs(big, small)
  })

  it('starts again where the registry has no ranges, or wrong ones', async () => {
    for (const type of ['no-range', 'wrong-range'] as const) {
      const registry = await start()
      const fresh = makeLayer({ type, big: incompressible(MIB) }, { compression: 'none' })
      registry.addImage('library/fresh', makeImage({ layers: [fresh] }))
      registry.addFault({ on: 'blob', path: fresh.digest, type: 'cut', afterBytes: 1000 })
      registry.addFault({ on: 'blob', path: fresh.digest, type })
      await pulled(registry, { name: 'library/fresh' })
      await expectBlobs(fresh)
    }
  })

  it('fetches anew when what an earlier pull left is damaged', async () => {
    const registry = await start()
    registry.addFault({ on: 'blob', path: big.digest, type: 'cut', afterBytes: 2 * MIB })
    await failed(registry, { retry: { attempts: 1 } })
    const partial = join(directory, 'partial', big.digest.replace(':', '-'))
    await writeFile(partial, Buffer.alloc(MIB, 'x'))
    await pulled(registry)
    expect(rangesOf(registry, big)).toEqual([undefined, `bytes=${MIB}-${big.size - 1}`, undefined])
    await expectBlobs(big)
  })

  it('does not give up on a connection that carries much each time before it breaks', async () => {
    const registry = await start()
    const layer = makeLayer({ big: incompressible(5 * MIB) }, { compression: 'none' })
    registry.addImage('library/long', makeImage({ layers: [layer] }))
    registry.addFault({
      on: 'blob',
      type: 'cut',
      afterBytes: MIB + 200_000,
      times: 4,
      path: layer.digest,
    })
    await pulled(registry, { name: 'library/long', retry: { attempts: 2, baseMs: 1 } })
    await expectBlobs(layer)
  })

  it('waits as long as a registry with too many visitors asks', async () => {
    const registry = await start()
    registry.addFault({ on: 'manifest', type: 'status', status: 429, retryAfter: '0' })
    registry.addFault({ on: 'blob', type: 'status', status: 429, retryAfter: '0' })
    registry.addFault({ on: 'blob', type: 'status', status: 503, path: big.digest })
    registry.addFault({ on: 'blob', type: 'reset', path: small.digest })
    const { events } = await pulled(registry)
    expect(events).toContainEqual(
      expect.objectContaining({ type: 'retry', attempt: 2, delayMs: 0 }),
    )
    expect(events.filter(({ type }) => type === 'layer-retry').length).toBeGreaterThanOrEqual(2)
  })

  it('says when to come back if that is too long to wait', async () => {
    const registry = await start()
    registry.addFault({ on: 'manifest', type: 'status', status: 429, retryAfter: '3600' })
    expect(await failed(registry)).toMatchObject({
      code: 'ERR_REGISTRY_RATE_LIMITED',
      retryAfterMs: 3_600_000,
      hint: expect.stringContaining('3600 s'),
    })
  })
})

describe('pull, when bytes are wrong', () => {
  it('keeps nothing of a layer whose digest is wrong', async () => {
    const registry = await start()
    registry.addFault({ on: 'blob', path: big.digest, type: 'corrupt' })
    expect(await failed(registry)).toMatchObject({
      code: 'ERR_REGISTRY_DIGEST_MISMATCH',
      expected: big.digest,
    })
    expect(await layout.has(big)).toBe(false)
    registry.requests.length = 0
    await pulled(registry)
    expect(rangesOf(registry, big)).toEqual([undefined])
    await expectBlobs(big)
  })

  it.each([1, -1])(
    'refuses a layer that is longer or shorter than it should be (%i)',
    async (bytes) => {
      const registry = await start()
      registry.addFault({ on: 'blob', path: big.digest, type: 'resize', bytes })
      expect(await failed(registry)).toMatchObject({ code: 'ERR_REGISTRY_SIZE_MISMATCH' })
      expect(await layout.has(big)).toBe(false)
    },
  )

  it('refuses a manifest, an index or a configuration whose digest is wrong', async () => {
    for (const path of [image.manifest.descriptor.digest, '/manifests/1']) {
      const registry = await start()
      registry.addFault({ on: 'manifest', path, type: 'corrupt' })
      expect(await failed(registry)).toMatchObject({ code: 'ERR_REGISTRY_DIGEST_MISMATCH' })
    }
    const registry = await start()
    const { digest } = image.config.descriptor
    registry.addFault({ on: 'blob', path: digest, type: 'corrupt' })
    expect(await failed(registry)).toMatchObject({ code: 'ERR_REGISTRY_DIGEST_MISMATCH' })
    expect(await readdir(join(directory, 'blobs')).catch(() => [])).toEqual([])
  })

  it('refuses a configuration that does not fit the manifest', async () => {
    const registry = await start()
    const [first, second] = [makeImage({ layers: [small] }), makeImage({ layers: [small, big] })]
    const document = JSON.parse(first.manifest.bytes.toString())
    const bytes = Buffer.from(JSON.stringify({ ...document, config: second.config.descriptor }))
    const descriptor = { ...first.manifest.descriptor, digest: digestOf(bytes), size: bytes.length }
    registry.addImage('library/odd', { ...second, manifest: { descriptor, bytes } })
    expect(await failed(registry, { name: 'library/odd' })).toMatchObject({
      code: 'ERR_REGISTRY_BAD_MANIFEST',
      message: expect.stringContaining('the manifest has 1 layers and the configuration 2'),
    })
  })

  it('refuses more bytes than the limits allow before it fetches any', async () => {
    const registry = await start()
    for (const limits of [{ layerBytes: MIB }, { totalBytes: 3 * MIB }]) {
      expect(await failed(registry, { limits })).toMatchObject({ code: 'ERR_REGISTRY_TOO_LARGE' })
    }
    expect(registry.requests.some(({ path }) => path.includes('/blobs/'))).toBe(false)
  })

  it('says what to do about schema 1, and what something else than an image is', async () => {
    const registry = await start()
    const body = JSON.stringify({ schemaVersion: 1, fsLayers: [] })
    registry.addFault({
      on: 'manifest',
      type: 'body',
      body,
      contentType: MEDIA_TYPES.schema1Signed,
    })
    expect(await failed(registry)).toMatchObject({ code: 'ERR_REGISTRY_SCHEMA1' })
    const config = { ...image.config.descriptor, mediaType: 'application/vnd.example.chart' }
    const chart = JSON.stringify({ schemaVersion: 2, config, layers: [] })
    registry.addFault({
      on: 'manifest',
      type: 'body',
      body: chart,
      contentType: MEDIA_TYPES.ociManifest,
    })
    expect(await failed(registry)).toMatchObject({ code: 'ERR_REGISTRY_NOT_AN_IMAGE' })
  })
})

describe('pull, when stopped', () => {
  it('stops at once, keeps what it has, and leaves no lock', async () => {
    const registry = await start()
    registry.addFault({ on: 'blob', path: big.digest, type: 'stall', afterBytes: 2 * MIB })
    const controller = new AbortController()
    const onEvent = (event: PullEvent) => {
      if (event.type === 'layer-progress' && event.digest === big.digest) {
        setTimeout(() => controller.abort(new Error('enough')), 100)
      }
    }
    const failure = await failed(registry, { signal: controller.signal, onEvent })
    expect(failure).toMatchObject({ code: 'ERR_REGISTRY_ABORTED', cause: new Error('enough') })
    expect(await readdir(join(directory, 'partial'))).toEqual([big.digest.replace(':', '-')])
    const { events } = await pulled(registry)
    const start_ = events.find((e) => e.type === 'layer-start' && e.digest === big.digest)
    expect(start_).toMatchObject({ offset: 2 * MIB })
  })

  it('does nothing if it was stopped before', async () => {
    const registry = await start()
    expect(await failed(registry, { signal: AbortSignal.abort() })).toMatchObject({
      code: 'ERR_REGISTRY_ABORTED',
    })
    expect(registry.requests).toEqual([])
  })

  it('stops the other layers when one fails for good', async () => {
    const registry = await start()
    registry.addFault({ on: 'blob', path: big.digest, type: 'stall', afterBytes: 1 })
    registry.addFault({ on: 'blob', path: small.digest, type: 'corrupt' })
    expect(await failed(registry)).toMatchObject({
      code: 'ERR_REGISTRY_DIGEST_MISMATCH',
      expected: small.digest,
    })
  })
})

describe('pull, side by side', () => {
  it('fetches a layer once when two pulls want it', async () => {
    const registry = await start()
    const results = await Promise.all([pulled(registry), pulled(registry), pulled(registry)])
    expect(results.map(({ result }) => result.image.configDigest)).toEqual(
      Array(3).fill(image.config.descriptor.digest),
    )
    expect(blobRequests(registry, big)).toHaveLength(1)
    expect(await layout.list()).toHaveLength(1)
  })

  it('reports progress rarely, and always the end', async () => {
    const registry = await start()
    const { events } = await pulled(registry)
    const progress = events.filter((e) => e.type === 'layer-progress' && e.digest === big.digest)
    expect(progress.length).toBeLessThan(10)
    expect(progress.at(-1)).toMatchObject({ received: big.size, size: big.size })
  })
})

type Settings = Omit<PullOptions, 'client'> &
  Pick<RegistryClientOptions, 'retry'> & { name?: string }

async function start(options: TestRegistryOptions = {}): Promise<TestRegistry> {
  const registry = await createTestRegistry(options)
  open.push(registry)
  registry.addImage('library/app:1', index)
  return registry
}

async function pulled(registry: TestRegistry, settings: Settings = {}) {
  const { name = 'library/app:1', retry = { baseMs: 1 }, ...options } = settings
  const client = createRegistryClient({ retry })
  open.push(client)
  const events: PullEvent[] = []
  const onEvent = (event: PullEvent) => {
    events.push(event)
    settings.onEvent?.(event)
  }
  const result = await pull(nameAt(registry, name), layout, { ...options, client, onEvent })
  return { result, events }
}

async function failed(registry: TestRegistry, settings: Settings = {}): Promise<unknown> {
  return pulled(registry, settings).then(
    () => new Error('the pull did not fail'),
    (error) => error,
  )
}

function nameAt(registry: TestRegistry, name = 'library/app:1') {
  return parseReference(`${registry.host}/${name}`)
}

async function expectBlobs(...layers: TestLayer[]): Promise<void> {
  for (const layer of layers) {
    expect(layer.blob.equals(await readFile(layout.blobPath(layer.digest)))).toBe(true)
  }
}

function blobRequests(registry: TestRegistry, layer: TestLayer) {
  return registry.requests.filter(
    ({ path, status }) => path.includes(layer.digest) && status !== 307,
  )
}

function rangesOf(registry: TestRegistry, layer: TestLayer) {
  return blobRequests(registry, layer).map(({ headers }) => headers.range)
}

function typesOf(events: PullEvent[]): string[] {
  return events.map(({ type }) => type)
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  )
}

/** Bytes that look random and are the same each time. */
function incompressible(length: number): Buffer {
  const bytes = Buffer.alloc(length)
  let state = 1
  for (let i = 0; i + 4 <= length; i += 4) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes.writeUInt32LE(state, i)
  }
  return bytes
}
