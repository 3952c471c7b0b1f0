import { afterEach, describe, expect, it } from 'vitest'
import type { Descriptor } from '../image/descriptor.ts'
import { digestOf } from '../image/digest.ts'
import { EMPTY_BLOB, MEDIA_TYPES } from '../image/media-types.ts'
import { parseReference, withDigest, withTag } from '../image/reference.ts'
import {
  makeImage,
  makeLayer,
  type TestRegistry,
  type TestRegistryOptions,
} from '../testing/index.ts'
import { referrersTag } from './referrers-tag.ts'
import { createBench, listOf } from './servers.test.fixture.ts'

const image = makeImage({ layers: [makeLayer({ file: 'content' })] })
const { descriptor, bytes } = image.manifest
const { mediaType, digest } = descriptor
const { start, connect, serve, close } = createBench()

afterEach(close)

describe('putManifest', () => {
  it('stores the bytes as they are, under a tag', async () => {
    const { registry, client, reference } = await startWithImage()
    const result = await client.putManifest(withTag(reference, 'v1'), { mediaType, bytes })
    expect(result).toEqual({ descriptor, tags: ['v1'] })
    expect(registry.manifest('team/app', 'v1')?.bytes).toEqual(bytes)
    expect(putsOf(registry)).toEqual(['/v2/team/app/manifests/v1'])
  })

  it('sets many tags with one request, and those that the registry did not set one by one', async () => {
    const tags = Array.from({ length: 12 }, (_, i) => `t${i}`)
    const { registry, client, reference } = await startWithImage()
    const result = await client.putManifest(
      withTag(reference, 'v1'),
      { mediaType, bytes },
      { tags },
    )
    expect(result.tags).toEqual(['v1', ...tags])
    expect(registry.tags('team/app')).toEqual([...tags, 'v1'].sort())
    expect(putsOf(registry)).toHaveLength(4) // ten at once, the digest's among them, and three
  })

  it.for([
    ['does not know the parameter', []],
    [
      'finds the address too long',
      [{ on: 'manifest', path: 'tag=', type: 'status', status: 414, times: 9 }],
    ],
    [
      'refuses the parameter',
      [{ on: 'manifest', path: 'tag=', type: 'status', status: 400, times: 9 }],
    ],
  ] as const)('sets the tags though the registry %s', async ([, faults]) => {
    const noTags = { on: 'manifest', type: 'header', name: 'oci-tag', times: 9 } as const
    const { registry, client, reference } = await startWithImage({ faults: [...faults, noTags] })
    const exact = withDigest(reference, digest)
    await client.putManifest(exact, { mediaType, bytes }, { tags: ['a', 'b'] })
    expect(registry.tags('team/app')).toEqual(['a', 'b'])
    expect(putsOf(registry).slice(-2)).toEqual([
      '/v2/team/app/manifests/a',
      '/v2/team/app/manifests/b',
    ])
  })

  it('stores under the digest alone', async () => {
    const { registry, client, reference } = await startWithImage()
    await client.putManifest(withDigest(reference, digest), { mediaType, bytes })
    expect(registry.manifest('team/app', digest)?.bytes).toEqual(bytes)
    expect(registry.tags('team/app')).toEqual([])
    const wrong = digestOf(Buffer.from('other'))
    await expect(
      client.putManifest(withDigest(reference, wrong), { mediaType, bytes }),
    ).rejects.toMatchObject({ code: 'ERR_REGISTRY_DIGEST_MISMATCH' })
  })

  it('sends nothing that is one thing by its body and another by its type (CVE-2021-41190)', async () => {
    const { registry, client, reference } = await startWithImage()
    const both = { ...JSON.parse(bytes.toString()), manifests: [] }
    for (const [type, body] of [
      [MEDIA_TYPES.ociIndex, bytes],
      ['application/vnd.unknown+json', bytes],
      [mediaType, Buffer.from(JSON.stringify(both))],
      [mediaType, Buffer.from('{')],
    ] as const) {
      const push = client.putManifest(withTag(reference, 'v1'), { mediaType: type, bytes: body })
      await expect(push).rejects.toMatchObject({ code: 'ERR_REGISTRY_BAD_MANIFEST' })
    }
    const large = Buffer.alloc(4 * 1024 * 1024 + 1, ' ')
    await expect(
      client.putManifest(withTag(reference, 'v1'), { mediaType, bytes: large }),
    ).rejects.toMatchObject({ code: 'ERR_REGISTRY_TOO_LARGE' })
    await expect(
      client.putManifest(reference, { mediaType, bytes }, { tags: ['not/a/tag'] }),
    ).rejects.toMatchObject({ code: 'ERR_REGISTRY_BAD_REFERENCE' })
    expect(putsOf(registry)).toEqual([])
  })

  it('notices a registry that stores something else', async () => {
    const faults = [{ on: 'manifest', method: 'PUT', type: 'wrong-digest-header' }] as const
    const { client, reference } = await startWithImage({ faults: [...faults] })
    const push = client.putManifest(withTag(reference, 'v1'), { mediaType, bytes })
    await expect(push).rejects.toMatchObject({
      code: 'ERR_REGISTRY_DIGEST_MISMATCH',
      expected: digest,
    })
  })

  it.for([
    [409, 'ERR_REGISTRY_CONFLICT'],
    [412, 'ERR_REGISTRY_CONFLICT'],
    [405, 'ERR_REGISTRY_UNSUPPORTED'],
    [413, 'ERR_REGISTRY_TOO_LARGE'],
    [403, 'ERR_REGISTRY_DENIED'],
  ] as const)('says what status %i means', async ([status, code]) => {
    const fault = { on: 'manifest', method: 'PUT', type: 'status', status } as const
    const { client, reference } = await startWithImage({ faults: [fault] })
    const push = client.putManifest(withTag(reference, 'v1'), { mediaType, bytes })
    await expect(push).rejects.toMatchObject({ code, status })
  })
})

describe('a manifest with a subject', () => {
  it.for([true, false])('is listed as a referrer; referrers API: %s', async (referrers) => {
    const { registry, client, reference } = await startWithImage({ referrers })
    const entries = ['a', 'b', 'a'].map((type, i) => artifact(`application/vnd.${type}`, i))
    const results = await Promise.all(
      entries.map((entry) =>
        client.putManifest(withDigest(reference, entry.descriptor.digest), entry),
      ),
    )
    expect(results.map((result) => result.subject)).toEqual(entries.map(() => digest))
    expect(registry.requests.map(({ status }) => status)).not.toContain(412) // they waited for one another
    const subject = withDigest(reference, digest)
    const listed = await listOf(client.referrers(subject))
    const byDigest = (a: Descriptor, b: Descriptor) => a.digest.localeCompare(b.digest)
    expect(listed.sort(byDigest)).toEqual(entries.map((entry) => entry.listed).sort(byDigest))
    const some = await listOf(client.referrers(subject, { artifactType: 'application/vnd.a' }))
    expect(some).toHaveLength(2)
    expect(registry.tags('team/app')).toEqual(referrers ? [] : [referrersTag(digest)])
  })

  it('is listed once, with whatever else was there, by many at a time', async () => {
    const { registry, client, reference } = await startWithImage({ referrers: false })
    const [first, ...others] = Array.from({ length: 6 }, (_, i) => artifact('application/vnd.a', i))
    const put = (entry: typeof first, via = client) =>
      entry && via.putManifest(withDigest(reference, entry.descriptor.digest), entry)
    await put(first)
    const tag = referrersTag(digest)
    const before = JSON.parse(`${registry.manifest('team/app', tag)?.bytes}`)
    const extra = Buffer.from(JSON.stringify({ ...before, annotations: { keep: 'me' } }))
    await client.putManifest(withTag(reference, tag), {
      mediaType: MEDIA_TYPES.ociIndex,
      bytes: extra,
    })
    const second = connect()
    await Promise.all([...others, first].map((entry, i) => put(entry, i % 2 ? client : second)))
    const after = JSON.parse(`${registry.manifest('team/app', tag)?.bytes}`)
    expect(after.annotations).toEqual({ keep: 'me' })
    const digests = after.manifests.map((entry: Descriptor) => entry.digest)
    const all = [first, ...others].map((entry) => entry?.descriptor.digest)
    expect(digests.sort()).toEqual(all.sort())
  })

  it('is listed though the registry knows no conditions and somebody else writes at the same time', async () => {
    const stored: { index?: string; intruder: boolean } = { intruder: true }
    const host = await serve(({ method, url, body, headers }) => {
      if (!url.includes('/manifests/sha256-')) return [method === 'PUT' ? 201 : 404]
      if (method === 'PUT') {
        expect(headers['if-match']).toBeUndefined()
        const index = stored.intruder ? body.replace(/"manifests":\[.*\]/, '"manifests":[]') : body
        Object.assign(stored, { index, intruder: false })
        return [201]
      }
      if (stored.index === undefined) return [404]
      return [200, { 'content-type': MEDIA_TYPES.ociIndex }, JSON.parse(stored.index)]
    })
    const entry = artifact('application/vnd.a', 1)
    const reference = parseReference(`${host}/team/app@${entry.descriptor.digest}`)
    await connect().putManifest(reference, entry)
    expect(JSON.parse(stored.index ?? '{}').manifests).toEqual([entry.listed])
  })

  it('is not listed over something that is no list', async () => {
    const { registry, client, reference } = await startWithImage({ referrers: false })
    const tagged = withTag(reference, referrersTag(digest))
    await client.putManifest(tagged, { mediaType, bytes })
    const entry = artifact('application/vnd.a', 1)
    await expect(
      client.putManifest(withDigest(reference, entry.descriptor.digest), entry),
    ).rejects.toMatchObject({ code: 'ERR_REGISTRY_BAD_MANIFEST' })
    expect(registry.manifest('team/app', tagged.tag ?? '')?.bytes).toEqual(bytes)
    expect(await listOf(client.referrers(withDigest(reference, digest)))).toEqual([])
  })

  it.for([true, false])(
    'leaves the list when it is deleted; referrers API: %s',
    async (referrers) => {
      const { client, reference } = await startWithImage({ referrers })
      const entries = [1, 2].map((i) => artifact('application/vnd.a', i))
      for (const entry of entries) {
        await client.putManifest(withDigest(reference, entry.descriptor.digest), entry)
      }
      const [gone, left] = entries.map((entry) => entry.descriptor.digest)
      await client.deleteManifest(withDigest(reference, gone ?? ''))
      const listed = await listOf(client.referrers(withDigest(reference, digest)))
      expect(listed.map((entry) => entry.digest)).toEqual([left])
    },
  )
})

it('makes the tag of a list as the specification says', () => {
  const hex = 'a'.repeat(64)
  expect(referrersTag(`sha256:${hex}`)).toBe(`sha256-${hex}`)
  expect(referrersTag(`sha512:${hex}${hex}`)).toBe(`sha512-${hex}`)
})

async function startWithImage(options: TestRegistryOptions = {}) {
  const started = await start(options)
  const { registry } = started
  registry.addBlob('team/app', image.config.bytes)
  registry.addBlob('team/app', EMPTY_BLOB.bytes)
  for (const { blob } of image.layers) registry.addBlob('team/app', blob)
  return started
}

function artifact(artifactType: string, i: number) {
  const { mediaType: type, digest: empty, size } = EMPTY_BLOB
  const blob = { mediaType: type, digest: empty, size }
  const annotations = { i: String(i) }
  const document = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociManifest,
    artifactType,
    config: blob,
    layers: [blob],
    subject: descriptor,
    annotations,
  }
  const body = Buffer.from(JSON.stringify(document))
  const own = { mediaType: document.mediaType, digest: digestOf(body), size: body.length }
  return {
    mediaType: own.mediaType,
    bytes: body,
    descriptor: own,
    listed: { ...own, artifactType, annotations },
  }
}

function putsOf({ requests }: TestRegistry): string[] {
  return requests.filter(({ method }) => method === 'PUT').map(({ path }) => path)
}
