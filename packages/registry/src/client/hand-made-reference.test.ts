import { afterEach, describe, expect, it } from 'vitest'
import { staticCredentials } from '../auth/credentials.ts'
import type { HostResolver } from '../hosts/endpoint.ts'
import { createHostResolver } from '../hosts/host-resolver.ts'
import type { Descriptor } from '../image/descriptor.ts'
import { parseReference, type Reference } from '../image/reference.ts'
import { createTestRegistry, makeImage, makeLayer, type TestRegistry } from '../testing/index.ts'
import { bytesSource } from './blob-source.ts'
import { createRegistryClient, type RegistryClient } from './registry-client.ts'

// A Reference is a plain object: what is in it need not have come out of parseReference.
const layer = makeLayer({ file: 'content' })
const image = makeImage({ layers: [layer] })
const { bytes, descriptor } = image.manifest
const open: Array<{ close(): Promise<void> }> = []

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

describe('a reference made by hand', () => {
  it.each([
    ['leads to another repository', { repository: 'library/app/../../secret/app' }],
    ['leads out of the API', { repository: '../../admin' }],
    ['leads there by an escape', { repository: 'library/%2e%2e/%2e%2e/admin' }],
    ['is another host', { repository: '//elsewhere.test/library/app' }],
    ['is another URL', { repository: 'http://elsewhere.test/library/app' }],
    ['asks for more than one scope', { repository: 'app:pull repository:secret' }],
    ['ends early', { repository: 'library/app?' }],
    ['has a tag that is a path', { tag: '../../../secret/app/manifests/1' }],
    ['has a tag that is a query', { tag: '1?ns=elsewhere' }],
    ['has a tag with a line end', { tag: '1\r\nx: y' }],
    ['has a digest that is a path', { digest: 'sha256:../../secret' }],
    ['has a registry that is a path', { registry: 'elsewhere.test/v2' }],
    ['has a registry with a user', { registry: 'me@elsewhere.test' }],
  ])('is refused before anything is asked if it %s', async (_, part) => {
    const { registry, client, reference } = await start()
    const odd: Reference = { ...reference, ...part }
    const calls = [
      () => client.head(odd),
      () => client.manifest(odd),
      () => client.putManifest(odd, { mediaType: descriptor.mediaType, bytes }),
      () => client.deleteTag({ ...odd, tag: odd.tag ?? '1' }),
    ]
    for (const call of calls) {
      await expect(call()).rejects.toMatchObject({
        code: expect.stringMatching(/^ERR_REGISTRY_BAD_(?:REFERENCE|DIGEST)$/),
      })
    }
    expect(registry.requests).toEqual([])
  })

  it('is refused by what needs nothing but its repository', async () => {
    const { registry, client, reference } = await start()
    const odd = { ...reference, repository: '../admin' }
    const calls = [
      () => client.readBlob(odd, image.config.descriptor),
      () => client.pushBlob(odd, bytesSource(bytes)),
      () => client.hasBlob(odd, layer),
      () => client.deleteBlob(odd, layer.digest),
      () => client.tags(odd)[Symbol.asyncIterator]().next(),
    ]
    for (const call of calls) {
      await expect(call()).rejects.toMatchObject({ code: 'ERR_REGISTRY_BAD_REFERENCE' })
    }
    expect(registry.requests).toEqual([])
  })

  it('is refused with a blob whose digest is a path', async () => {
    const { registry, client, reference } = await start()
    const odd: Descriptor = { ...image.config.descriptor, digest: '../../../secret' }
    for (const call of [
      () => client.openBlob(reference, odd),
      () => client.readBlob(reference, odd),
      () => client.hasBlob(reference, odd),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'ERR_REGISTRY_BAD_DIGEST' })
    }
    expect(registry.requests).toEqual([])
  })
})

describe('a resolver', () => {
  it('does not rename a repository into something outside of the API', async () => {
    const real = createHostResolver()
    const resolver: HostResolver = {
      ...real,
      endpoints: async (query) =>
        (await real.endpoints(query)).map((endpoint) => ({
          ...endpoint,
          repository: () => '../admin',
        })),
    }
    const { registry, client, reference } = await start(resolver)
    await expect(client.manifest(reference)).rejects.toMatchObject({
      code: 'ERR_REGISTRY_BAD_REFERENCE',
    })
    expect(registry.requests.filter(({ path }) => path !== '/v2/')).toEqual([])
  })
})

async function start(
  resolver?: HostResolver,
): Promise<{ registry: TestRegistry; client: RegistryClient; reference: Reference }> {
  const registry = await createTestRegistry({ auth: 'basic', users: { ann: 'secret' } })
  const credentials = staticCredentials(registry.host, 'ann', 'secret')
  const client = createRegistryClient({ credentials, ...(resolver ? { resolver } : {}) })
  open.push(registry, client)
  return { registry, client, reference: parseReference(`${registry.host}/library/app:1`) }
}
