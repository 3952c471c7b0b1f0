import { afterEach, describe, expect, it } from 'vitest'
import { withDigest, withTag } from '../image/reference.ts'
import {
  makeImage,
  makeLayer,
  type TestRegistry,
  type TestRegistryOptions,
} from '../testing/index.ts'
import { createBench } from './servers.test.fixture.ts'

const image = makeImage({ layers: [makeLayer({ file: 'content' })] })
const { digest } = image.manifest.descriptor
const { start, close } = createBench()

afterEach(close)

describe('deleteTag', () => {
  it('deletes the tag and nothing else', async () => {
    const { registry, client, reference } = await startWithTags()
    await client.deleteTag(withTag(reference, 'v1'))
    expect(stateOf(registry)).toEqual({ tags: ['v2'], image: true })
    expect(deletionsOf(registry)).toEqual(['v1'])
  })

  it.for([
    ['says that it cannot', []],
    [
      'says that it does not find it',
      [{ on: 'manifest', method: 'DELETE', path: 'v1', type: 'status', status: 404 }],
    ],
    [
      'refuses the request',
      [{ on: 'manifest', method: 'DELETE', path: 'v1', type: 'status', status: 400 }],
    ],
  ] as const)('deletes it by a stand-in where the registry %s', async ([, faults]) => {
    const { registry, client, reference } = await startWithTags({
      faults: [...faults],
      deletion: { tags: false },
    })
    registry.addImage('team/app:other', makeImage({ layers: [] }))
    await client.deleteTag(withTag(reference, 'v1'))
    expect(stateOf(registry)).toEqual({ tags: ['other', 'v2'], image: true })
    expect(deletionsOf(registry)).not.toContain(digest)
  })

  it('leaves the tag as it was where nothing can be deleted', async () => {
    const deletion = { tags: false, manifests: false }
    const { registry, client, reference } = await startWithTags({ deletion })
    await expect(client.deleteTag(withTag(reference, 'v1'))).rejects.toMatchObject({
      code: 'ERR_REGISTRY_UNSUPPORTED',
      hint: expect.stringContaining('deleteManifest'),
    })
    expect(stateOf(registry)).toEqual({ tags: ['v1', 'v2'], image: true })
    expect(registry.requests.some(({ method }) => method === 'PUT')).toBe(false)
  })

  it('uses no stand-in if told not to', async () => {
    const { registry, client, reference } = await startWithTags({ deletion: { tags: false } })
    await expect(
      client.deleteTag(withTag(reference, 'v1'), { standIn: false }),
    ).rejects.toMatchObject({ code: 'ERR_REGISTRY_UNSUPPORTED' })
    expect(stateOf(registry)).toEqual({ tags: ['v1', 'v2'], image: true })
  })

  it.for([
    ['fails', { type: 'status', status: 500, times: 9 }, 'ERR_REGISTRY_SERVER'],
    ['is refused after all', { type: 'status', status: 405 }, 'ERR_REGISTRY_UNSUPPORTED'],
    ['does nothing', { type: 'status', status: 404 }, 'ERR_REGISTRY_UNSUPPORTED'],
  ] as const)("gives the tag back if the stand-in's deletion %s", async ([, effect, code]) => {
    const { registry, client, reference } = await startWithTags({ deletion: { tags: false } })
    // The first deletion is the tag's, the second asks whether manifests can be deleted.
    registry.addFault({ on: 'manifest', method: 'DELETE', nth: 3, ...effect })
    await expect(client.deleteTag(withTag(reference, 'v1'))).rejects.toMatchObject({ code })
    expect(stateOf(registry)).toEqual({ tags: ['v1', 'v2'], image: true })
    expect(registry.manifest('team/app', 'v1')?.descriptor.digest).toBe(digest)
  })

  it('says what is to be given back if that fails, too', async () => {
    const { registry, client, reference } = await startWithTags({ deletion: { tags: false } })
    registry.addFault({ on: 'manifest', method: 'DELETE', nth: 3, type: 'status', status: 405 })
    registry.addFault({ on: 'manifest', method: 'PUT', nth: 2, type: 'status', status: 403 })
    await expect(client.deleteTag(withTag(reference, 'v1'))).rejects.toMatchObject({
      code: 'ERR_REGISTRY_UNSUPPORTED',
      expected: digest,
      message: expect.stringContaining(digest),
    })
  })

  it('wants a tag that is there, and no digest', async () => {
    const { registry, client, reference } = await startWithTags()
    await expect(client.deleteTag(withTag(reference, 'none'))).rejects.toMatchObject({
      code: 'ERR_REGISTRY_NOT_FOUND',
    })
    const both = { ...withTag(reference, 'v1'), digest }
    for (const wrong of [withDigest(reference, digest), both]) {
      await expect(client.deleteTag(wrong)).rejects.toMatchObject({
        code: 'ERR_REGISTRY_BAD_REFERENCE',
      })
    }
    expect(stateOf(registry)).toEqual({ tags: ['v1', 'v2'], image: true })
  })
})

describe('deleteManifest', () => {
  it('deletes by digest, and with it the tags', async () => {
    const { registry, client, reference } = await startWithTags()
    await client.deleteManifest(withDigest(reference, digest))
    expect(stateOf(registry)).toEqual({ tags: [], image: false })
    await expect(client.deleteManifest(withDigest(reference, digest))).rejects.toMatchObject({
      code: 'ERR_REGISTRY_NOT_FOUND',
    })
  })

  it('does not guess what a tag stands for', async () => {
    const { registry, client, reference } = await startWithTags()
    await expect(client.deleteManifest(withTag(reference, 'v1'))).rejects.toMatchObject({
      code: 'ERR_REGISTRY_BAD_REFERENCE',
    })
    expect(registry.requests).toEqual([])
  })

  it.for([400, 405])('says by status %i that the registry deletes nothing', async (status) => {
    const fault = { on: 'manifest', method: 'DELETE', type: 'status', status } as const
    const { client, reference } = await startWithTags({ faults: [fault] })
    await expect(client.deleteManifest(withDigest(reference, digest))).rejects.toMatchObject({
      code: 'ERR_REGISTRY_UNSUPPORTED',
      status,
      hint: expect.stringContaining('no deletion'),
    })
  })
})

it('deletes a blob', async () => {
  const { registry, client, reference } = await startWithTags()
  const config = image.config.descriptor.digest
  await client.deleteBlob(reference, config)
  expect(await registry.blob('team/app', config)).toBeUndefined()
  await expect(client.deleteBlob(reference, '../../_catalog')).rejects.toMatchObject({
    code: 'ERR_REGISTRY_BAD_DIGEST',
  })
})

async function startWithTags(options: TestRegistryOptions = {}) {
  const started = await start(options)
  for (const tag of ['v1', 'v2']) started.registry.addImage(`team/app:${tag}`, image)
  return started
}

function stateOf(registry: TestRegistry) {
  return {
    tags: registry.tags('team/app'),
    image: registry.manifest('team/app', digest) !== undefined,
  }
}

function deletionsOf({ requests }: TestRegistry): string[] {
  return requests
    .filter(({ method }) => method === 'DELETE')
    .map(({ path }) => path.slice(path.lastIndexOf('/') + 1))
}
