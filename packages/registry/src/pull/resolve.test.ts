import { afterEach, describe, expect, it } from 'vitest'
import { createRegistryClient } from '../client/registry-client.ts'
import type { Descriptor } from '../image/descriptor.ts'
import type { Platform } from '../image/platform.ts'
import { parseReference } from '../image/reference.ts'
import {
  createTestRegistry,
  makeImage,
  makeIndex,
  makeLayer,
  type TestImage,
  type TestIndex,
} from '../testing/index.ts'
import { resolveImage } from './resolve.ts'

const layer = makeLayer({ file: 'content' })
const amd64 = { os: 'linux', architecture: 'amd64' }
const s390x = { os: 'linux', architecture: 's390x' }
const arm = (variant: string) => ({ os: 'linux', architecture: 'arm', variant })
const imageFor = (platform: Platform) => makeImage({ layers: [layer], platform })
const open: Array<{ close(): Promise<void> }> = []

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

describe('resolveImage', () => {
  it('takes the newest variant that is not newer than the machine', async () => {
    const index = makeIndex([arm('v5'), arm('v6'), arm('v8')].map(imageFor))
    const { descriptor } = await resolved(index, arm('v7'))
    expect(descriptor.platform).toMatchObject(arm('v6'))
  })

  it('looks into indexes within the index that do not say what they are for', async () => {
    const inner = [makeIndex([imageFor(s390x)]), makeIndex([imageFor(amd64)])]
    const outer = indexOf(inner.map(({ index }) => index.descriptor))
    const found = await resolved(outer, amd64, inner)
    expect(found.manifest.config.digest).toBe(imageFor(amd64).config.descriptor.digest)
    expect(found.descriptor.platform).toMatchObject(amd64)
    expect(found.resolvedDigest).toBe(outer.index.descriptor.digest)
  })

  it('lists what all of them have instead', async () => {
    const inner = [makeIndex([imageFor(s390x)]), makeIndex([imageFor(arm('v6'))])]
    const outer = indexOf(inner.map(({ index }) => index.descriptor))
    await expect(resolved(outer, amd64, inner)).rejects.toMatchObject({
      code: 'ERR_REGISTRY_NO_PLATFORM',
      available: ['linux/s390x', 'linux/arm/v6'],
    })
  })

  it('passes over attestations and what no platform runs', async () => {
    const image = imageFor(amd64)
    const attestation = {
      ...imageFor(amd64).manifest.descriptor,
      annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
      platform: amd64,
    }
    const unknown = {
      ...imageFor(s390x).manifest.descriptor,
      platform: { os: 'unknown', architecture: 'unknown' },
    }
    const own = { ...image.manifest.descriptor, platform: amd64 }
    const outer = indexOf([attestation, unknown, own])
    const found = await resolved(outer, amd64, [], [image])
    expect(found.manifest.config.digest).toBe(image.config.descriptor.digest)
  })

  it('does not follow indexes for ever', async () => {
    let outer = makeIndex([imageFor(amd64)])
    const all = [outer]
    for (let depth = 0; depth < 5; depth++) {
      outer = indexOf([outer.index.descriptor])
      all.push(outer)
    }
    await expect(resolved(outer, amd64, all)).rejects.toMatchObject({
      code: 'ERR_REGISTRY_BAD_MANIFEST',
      message: expect.stringContaining('too many indexes'),
    })
  })

  it('refuses an index entry that is of another size than it says', async () => {
    const image = imageFor(amd64)
    const { descriptor } = image.manifest
    const outer = indexOf([{ ...descriptor, size: descriptor.size + 1, platform: amd64 }])
    await expect(resolved(outer, amd64, [], [image])).rejects.toMatchObject({
      code: 'ERR_REGISTRY_SIZE_MISMATCH',
    })
  })
})

/** An index of anything. */
const indexOf = (extra: Descriptor[]) => makeIndex([], { extra })

async function resolved(
  index: TestIndex,
  platform: Platform,
  others: TestIndex[] = [],
  images: TestImage[] = [],
) {
  const registry = await createTestRegistry()
  open.push(registry)
  for (const [i, other] of [...others, ...images].entries()) {
    registry.addImage(`team/app:other-${i}`, other)
  }
  registry.addImage('team/app:1', index)
  const client = createRegistryClient({ retry: { baseMs: 1 } })
  open.push(client)
  return resolveImage(client, parseReference(`${registry.host}/team/app:1`), platform)
}
