import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { requiresProgram, which } from '@cromwell/test-support'
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest'
import { digestOf } from '../image/digest.ts'
import { MEDIA_TYPES } from '../image/media-types.ts'
import {
  binary,
  errorCodes,
  imageManifest,
  locationOf,
  RepositoryApi,
  startDockerRegistry,
  withDigest,
} from './conformance.test.fixture.ts'
import { createTestRegistry } from './index.ts'

/** What version 1.1 of the distribution specification asks of a registry, as sentences. */
type Requirements = Record<string, (api: RepositoryApi) => Promise<void>>

const MISSING = `sha256:${'0'.repeat(64)}`
const EMPTY = { digest: digestOf(Buffer.from('{}')), size: 2 }

const pull: Requirements = {
  'the API is at /v2/': async (api) => {
    expect((await api.ask('GET', '/v2/')).status).toBe(200)
  },
  'a manifest comes by tag and by digest, byte for byte, with its type and digest': async (api) => {
    const { bytes, digest } = await api.pushManifest('one')
    for (const reference of ['one', digest]) {
      const { status, headers, body } = await api.getManifest(reference)
      expect([status, body.equals(bytes)]).toEqual([200, true])
      expect(headers.get('content-type')).toBe(MEDIA_TYPES.ociManifest)
      expect(headers.get('docker-content-digest')).toBe(digest)
    }
  },
  'HEAD says of a manifest what GET does, without it': async (api) => {
    const { bytes, digest } = await api.pushManifest('one')
    const { status, headers, body } = await api.getManifest('one', 'HEAD')
    expect([status, body.length]).toEqual([200, 0])
    expect(headers.get('content-length')).toBe(`${bytes.length}`)
    expect(headers.get('docker-content-digest')).toBe(digest)
  },
  'a manifest that is not there is not found': async (api) => {
    await api.pushManifest('one')
    for (const reference of ['none', MISSING]) {
      expect((await api.getManifest(reference, 'HEAD')).status).toBe(404)
      const reply = await api.getManifest(reference)
      expect([reply.status, errorCodes(reply)]).toEqual([404, ['MANIFEST_UNKNOWN']])
    }
  },
  'nothing is found in a repository that is not there': async (api) => {
    for (const path of [
      'manifests/latest',
      `manifests/${MISSING}`,
      `blobs/${MISSING}`,
      'tags/list',
    ]) {
      expect((await api.ask('GET', path)).status).toBe(404)
    }
  },
  'a blob comes by its digest, and HEAD says what it is': async (api) => {
    const bytes = randomBytes(3000)
    const digest = await api.pushBlob(bytes)
    const got = await api.ask('GET', `blobs/${digest}`)
    expect([got.status, got.body.equals(bytes)]).toEqual([200, true])
    expect(got.headers.get('docker-content-digest')).toBe(digest)
    const head = await api.ask('HEAD', `blobs/${digest}`)
    expect([head.status, head.headers.get('content-length')]).toEqual([200, '3000'])
    expect(head.headers.get('docker-content-digest')).toBe(digest)
  },
  'a blob that is not there is not found': async (api) => {
    await api.pushBlob(randomBytes(10))
    expect((await api.ask('HEAD', `blobs/${MISSING}`)).status).toBe(404)
    const reply = await api.ask('GET', `blobs/${MISSING}`)
    expect([reply.status, errorCodes(reply)]).toEqual([404, ['BLOB_UNKNOWN']])
  },
  'parts of a blob come by Range': async (api) => {
    const bytes = randomBytes(100)
    const path = `blobs/${await api.pushBlob(bytes)}`
    for (const [range, first, last] of [
      ['10-19', 10, 19],
      ['90-', 90, 99],
      ['-5', 95, 99],
      ['90-500', 90, 99],
    ] as const) {
      const part = await api.ask('GET', path, { headers: { range: `bytes=${range}` } })
      expect([part.status, part.headers.get('content-range')]).toEqual([
        206,
        `bytes ${first}-${last}/100`,
      ])
      expect(part.body.equals(bytes.subarray(first, last + 1)), range).toBe(true)
    }
  },
  'a Range beyond the end of a blob is not satisfiable': async (api) => {
    const path = `blobs/${await api.pushBlob(randomBytes(100))}`
    for (const range of ['bytes=100-', 'bytes=100-200']) {
      expect((await api.ask('GET', path, { headers: { range } })).status).toBe(416)
    }
  },
}

const push: Requirements = {
  'a blob is pushed by POST and PUT, and is at the Location': async (api) => {
    const bytes = randomBytes(100)
    const location = await api.beginUpload()
    const put = await api.ask('PUT', withDigest(location, digestOf(bytes)), binary(bytes))
    expect(put.status).toBe(201)
    expect((await api.ask('GET', locationOf(put))).body.equals(bytes)).toBe(true)
  },
  'a blob without bytes is one, too': async (api) => {
    const digest = await api.pushBlob(Buffer.of())
    const got = await api.ask('GET', `blobs/${digest}`)
    expect([got.status, got.body.length]).toEqual([200, 0])
  },
  'a POST with a digest takes the blob or begins an upload': async (api) => {
    const bytes = randomBytes(100)
    const digest = digestOf(bytes)
    const post = await api.ask('POST', `blobs/uploads/?digest=${digest}`, binary(bytes))
    expect([201, 202]).toContain(post.status)
    const location = locationOf(post)
    if (post.status === 202) await api.ask('PUT', withDigest(location, digest), binary(bytes))
    expect((await api.ask('GET', `blobs/${digest}`)).body.equals(bytes)).toBe(true)
  },
  'bytes that are not what the digest says are refused': async (api) => {
    const digest = digestOf(randomBytes(100))
    const location = await api.beginUpload()
    const put = await api.ask('PUT', withDigest(location, digest), binary(randomBytes(100)))
    expect([put.status, errorCodes(put)]).toEqual([400, ['DIGEST_INVALID']])
    expect((await api.ask('HEAD', `blobs/${digest}`)).status).toBe(404)
  },
  'a digest that is none, or of an unknown algorithm, is refused': async (api) => {
    for (const digest of ['none', 'sha256:12', 'crc32:12345678', '']) {
      const location = await api.beginUpload()
      expect(
        (await api.ask('PUT', withDigest(location, digest), binary(Buffer.of(1)))).status,
      ).toBe(400)
    }
  },
  'chunks are taken in order, the last by PATCH or PUT': async (api) => {
    const bytes = randomBytes(2500)
    for (const lastByPut of [false, true]) {
      let location = await api.beginUpload()
      const end = lastByPut ? 2000 : 2500
      for (let offset = 0; offset < end; offset += 1000) {
        const chunk = bytes.subarray(offset, Math.min(offset + 1000, end))
        const patch = await api.ask('PATCH', location, binary(chunk, offset))
        expect([patch.status, patch.headers.get('range')]).toEqual([
          202,
          `0-${offset + chunk.length - 1}`,
        ])
        location = locationOf(patch)
      }
      const rest = lastByPut ? binary(bytes.subarray(end), end) : {}
      const put = await api.ask('PUT', withDigest(location, digestOf(bytes)), rest)
      expect(put.status).toBe(201)
      expect((await api.ask('GET', locationOf(put))).body.equals(bytes)).toBe(true)
    }
  },
  'chunks out of order are refused, and the upload goes on from where it is': async (api) => {
    const bytes = randomBytes(300)
    const begun = await api.beginUpload()
    const first = await api.ask('PATCH', begun, binary(bytes.subarray(0, 100), 0))
    const location = locationOf(first)
    for (const offset of [200, 0, 50]) {
      const reply = await api.ask(
        'PATCH',
        location,
        binary(bytes.subarray(offset, offset + 100), offset),
      )
      expect(reply.status).toBe(416)
    }
    const digest = digestOf(bytes)
    const early = await api.ask(
      'PUT',
      withDigest(location, digest),
      binary(bytes.subarray(200), 200),
    )
    expect(early.status).toBe(416)
    const status = await api.ask('GET', location)
    expect([status.status, status.headers.get('range')]).toEqual([204, '0-99'])
    const rest = binary(bytes.subarray(100), 100)
    expect((await api.ask('PUT', withDigest(locationOf(status), digest), rest)).status).toBe(201)
  },
  'an upload that is under way says how far it is': async (api) => {
    const patch = await api.ask('PATCH', await api.beginUpload(), binary(randomBytes(100), 0))
    const status = await api.ask('GET', locationOf(patch))
    expect([status.status, status.headers.get('range')]).toEqual([204, '0-99'])
    locationOf(status)
  },
  'an upload can be cancelled, and is unknown afterwards': async (api) => {
    const location = await api.beginUpload()
    expect((await api.ask('DELETE', location)).status).toBe(204)
    const reply = await api.ask('GET', location)
    expect([reply.status, errorCodes(reply)]).toEqual([404, ['BLOB_UPLOAD_UNKNOWN']])
  },
  'a blob of another repository is mounted': async (api) => {
    const bytes = randomBytes(100)
    const digest = await api.sibling(`${api.name}/source`).pushBlob(bytes)
    const post = await api.ask('POST', `blobs/uploads/?mount=${digest}&from=${api.name}/source`)
    expect(post.status).toBe(201)
    expect((await api.ask('GET', locationOf(post))).body.equals(bytes)).toBe(true)
  },
  'what cannot be mounted can be uploaded': async (api) => {
    const bytes = randomBytes(100)
    const digest = digestOf(bytes)
    await api.sibling(`${api.name}/source`).pushBlob(randomBytes(10))
    const location = await api.beginUpload(`?mount=${digest}&from=${api.name}/source`)
    expect((await api.ask('PUT', withDigest(location, digest), binary(bytes))).status).toBe(201)
  },
  'a mount without a source is done, or begins an upload': async (api) => {
    const digest = await api.sibling(`${api.name}/source`).pushBlob(randomBytes(100))
    const post = await api.ask('POST', `blobs/uploads/?mount=${digest}`)
    expect([201, 202]).toContain(post.status)
    const { status } = await api.ask('HEAD', `blobs/${digest}`)
    expect(status).toBe(post.status === 201 ? 200 : 404)
  },
  'blobs and manifests may be known by SHA-512': async (api) => {
    const bytes = randomBytes(100)
    const digest = await api.pushBlob(bytes, 'sha512')
    expect((await api.ask('GET', `blobs/${digest}`)).body.equals(bytes)).toBe(true)
    const manifest = imageManifest({ digest, size: 100 })
    const name = digestOf(manifest, 'sha512')
    const put = await api.putManifest(name, manifest)
    expect([put.status, put.headers.get('docker-content-digest')]).toEqual([201, name])
    expect((await api.getManifest(name)).body.equals(manifest)).toBe(true)
  },
  'a pushed manifest is at the Location, and its digest is said': async (api) => {
    const { bytes, digest, reply } = await api.pushManifest('one')
    expect(reply.headers.get('docker-content-digest')).toBe(digest)
    expect((await api.getManifest(locationOf(reply))).status === 404).toBe(false)
    const headers = { accept: MEDIA_TYPES.ociManifest }
    expect((await api.ask('GET', locationOf(reply), { headers })).body.equals(bytes)).toBe(true)
  },
  'a tag is moved by pushing it again': async (api) => {
    const first = await api.pushManifest('one')
    const second = await api.pushManifest('one')
    expect((await api.getManifest('one')).headers.get('docker-content-digest')).toBe(second.digest)
    expect((await api.getManifest(first.digest)).status).toBe(200)
  },
  'parameters of a Content-Type are ignored': async (api) => {
    await api.pushBlob(Buffer.from('{}'))
    const bytes = imageManifest(EMPTY)
    const put = await api.putManifest('one', bytes, `${MEDIA_TYPES.ociManifest}; charset=utf-8`)
    expect(put.status).toBe(201)
    expect((await api.getManifest('one')).headers.get('content-type')).toBe(MEDIA_TYPES.ociManifest)
  },
  'a manifest that does not have its digest is refused': async (api) => {
    await api.pushBlob(Buffer.from('{}'))
    const put = await api.putManifest(MISSING, imageManifest(EMPTY))
    expect([put.status, errorCodes(put)]).toEqual([400, ['DIGEST_INVALID']])
  },
  'what is no manifest is refused': async (api) => {
    const put = await api.putManifest('one', Buffer.from('{"schemaVersion":'))
    expect([put.status, errorCodes(put)]).toEqual([400, ['MANIFEST_INVALID']])
  },
  'a manifest is taken without its blobs, or refused with MANIFEST_BLOB_UNKNOWN': async (api) => {
    await api.pushBlob(Buffer.from('{}'))
    const layer = { mediaType: MEDIA_TYPES.ociLayer, digest: MISSING, size: 3 }
    const put = await api.putManifest('one', imageManifest(EMPTY, { layers: [layer] }))
    if (put.status !== 201)
      expect(new Set(errorCodes(put))).toEqual(new Set(['MANIFEST_BLOB_UNKNOWN']))
  },
  'a manifest of nearly 4 MB is taken': async (api) => {
    const { bytes } = await api.pushManifest('one', { annotations: { a: 'a'.repeat(3_999_000) } })
    expect((await api.getManifest('one')).body.equals(bytes)).toBe(true)
  },
  'a manifest of far more than 4 MB is too large': async (api) => {
    await api.pushBlob(Buffer.from('{}'))
    const bytes = imageManifest(EMPTY, { annotations: { a: 'a'.repeat(8_000_000) } })
    expect((await api.putManifest('one', bytes)).status).toBe(413)
  },
  'a manifest is taken before its subject': async (api) => {
    const subject = { mediaType: MEDIA_TYPES.ociManifest, digest: MISSING, size: 3 }
    await api.pushManifest('one', { subject })
  },
  'a manifest by digest gets several tags at once': async (api) => {
    await api.pushBlob(Buffer.from('{}'))
    const bytes = imageManifest(EMPTY)
    const tags = Array.from({ length: 10 }, (_, index) => `tag-${index}`)
    const put = await api.putManifest(`${digestOf(bytes)}?tag=${tags.join('&tag=')}`, bytes)
    expect(put.headers.get('oci-tag')?.split(/, */)).toEqual(tags)
    for (const tag of tags) expect((await api.getManifest(tag)).status).toBe(200)
  },
}

const discovery: Requirements = {
  'tags are listed in order': async (api) => {
    for (const tag of ['b', 'a', 'c']) await api.pushManifest(tag)
    const { status, body } = await api.ask('GET', 'tags/list')
    expect([status, JSON.parse(`${body}`)]).toEqual([
      200,
      { name: api.name, tags: ['a', 'b', 'c'] },
    ])
  },
  'tags are listed from a tag on, so many at a time, and Link says where it goes on': async (
    api,
  ) => {
    for (const tag of ['d', 'a', 'c', 'b', 'e']) await api.pushManifest(tag)
    const after = await api.ask('GET', 'tags/list?n=2&last=b')
    expect(JSON.parse(`${after.body}`).tags).toEqual(['c', 'd'])
    const seen: string[] = []
    for (let path: string | undefined = 'tags/list?n=2'; path !== undefined; ) {
      const reply = await api.ask('GET', path)
      seen.push(...JSON.parse(`${reply.body}`).tags)
      path = /^<(.*)>; *rel="next"$/.exec(reply.headers.get('link') ?? '')?.[1]
    }
    expect(seen).toEqual(['a', 'b', 'c', 'd', 'e'])
  },
  'no tags are listed if none are wanted': async (api) => {
    await api.pushManifest('one')
    const { status, body, headers } = await api.ask('GET', 'tags/list?n=0')
    expect([status, JSON.parse(`${body}`).tags, headers.get('link')]).toEqual([200, [], null])
  },
  'the referrers of anything are an index, if only an empty one': async (api) => {
    await api.pushManifest('one')
    const { status, headers, body } = await api.ask('GET', `referrers/${MISSING}`)
    expect([status, headers.get('content-type')]).toEqual([200, MEDIA_TYPES.ociIndex])
    expect(JSON.parse(`${body}`)).toEqual({
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.ociIndex,
      manifests: [],
    })
  },
  'referrers of what is no digest are a bad request': async (api) => {
    await api.pushManifest('one')
    expect((await api.ask('GET', 'referrers/sha256:none')).status).toBe(400)
  },
  'what has a subject is one of its referrers, with its type and annotations': async (api) => {
    const target = await api.pushManifest('one')
    const subject = {
      mediaType: MEDIA_TYPES.ociManifest,
      digest: target.digest,
      size: target.bytes.length,
    }
    const annotations = { of: 'an SBOM' }
    const typed = await api.pushManifest(undefined, {
      subject,
      annotations,
      artifactType: 'example/sbom',
    })
    const plain = await api.pushManifest(undefined, { subject })
    expect(typed.reply.headers.get('oci-subject')).toBe(target.digest)
    const mediaType = MEDIA_TYPES.ociIndex
    const index = Buffer.from(
      JSON.stringify({ schemaVersion: 2, mediaType, manifests: [], subject }),
    )
    await api.putManifest(digestOf(index), index, mediaType)
    const all = await api.ask('GET', `referrers/${target.digest}`)
    const entry = ({ bytes, digest }: typeof typed) => ({
      mediaType: MEDIA_TYPES.ociManifest,
      digest,
      size: bytes.length,
    })
    expect(new Set(JSON.parse(`${all.body}`).manifests)).toEqual(
      new Set([
        { ...entry(typed), artifactType: 'example/sbom', annotations },
        { ...entry(plain), artifactType: 'application/vnd.example.config' },
        { mediaType, digest: digestOf(index), size: index.length },
      ]),
    )
    const some = await api.ask('GET', `referrers/${target.digest}?artifactType=example/sbom`)
    if (some.headers.get('oci-filters-applied') === 'artifactType') {
      expect(JSON.parse(`${some.body}`).manifests).toHaveLength(1)
    }
    await api.ask('DELETE', `manifests/${typed.digest}`)
    const rest = await api.ask('GET', `referrers/${target.digest}`)
    expect(JSON.parse(`${rest.body}`).manifests).toHaveLength(2)
  },
}

const management: Requirements = {
  'a tag is deleted, and nothing else': async (api) => {
    const { digest, bytes } = await api.pushManifest('one')
    await api.putManifest('other', bytes)
    expect((await api.ask('DELETE', 'manifests/one')).status).toBe(202)
    expect((await api.getManifest('one')).status).toBe(404)
    for (const reference of ['other', digest])
      expect((await api.getManifest(reference)).status).toBe(200)
  },
  'a manifest is deleted, and its tags with it': async (api) => {
    const { digest } = await api.pushManifest('one')
    const other = await api.pushManifest('other')
    expect((await api.ask('DELETE', `manifests/${digest}`)).status).toBe(202)
    for (const reference of ['one', digest])
      expect((await api.getManifest(reference)).status).toBe(404)
    expect((await api.getManifest('other')).body.equals(other.bytes)).toBe(true)
  },
  'a blob is deleted, from this repository only': async (api) => {
    const bytes = randomBytes(100)
    const digest = await api.pushBlob(bytes)
    const other = api.sibling(`${api.name}/other`)
    await other.pushBlob(bytes)
    expect((await api.ask('DELETE', `blobs/${digest}`)).status).toBe(202)
    expect((await api.ask('GET', `blobs/${digest}`)).status).toBe(404)
    expect((await other.ask('GET', `blobs/${digest}`)).status).toBe(200)
  },
  'what is not there cannot be deleted': async (api) => {
    for (const path of [`manifests/${MISSING}`, `blobs/${MISSING}`]) {
      expect((await api.ask('DELETE', path)).status).toBe(404)
      await api.pushManifest('one')
      expect((await api.ask('DELETE', path)).status).toBe(404)
    }
  },
}

const requirements: Requirements = { ...pull, ...push, ...discovery, ...management }

/** What docker-registry 2.8.2 does otherwise, most of which came into the specification after it. */
const OTHERWISE_IN_DOCKER_REGISTRY: Record<string, string> = {
  'a Range beyond the end of a blob is not satisfiable': 'cuts the connection',
  'chunks out of order are refused, and the upload goes on from where it is': 'takes them',
  'blobs and manifests may be known by SHA-512': 'knows SHA-256 only',
  'a manifest of far more than 4 MB is too large': 'says 400',
  'a manifest by digest gets several tags at once': 'came later',
  'tags are listed in order': 'has an order of its own',
  'tags are listed from a tag on, so many at a time, and Link says where it goes on': 'lists all',
  'no tags are listed if none are wanted': 'lists all',
  'the referrers of anything are an index, if only an empty one': 'has no referrers',
  'referrers of what is no digest are a bad request': 'has no referrers',
  'what has a subject is one of its referrers, with its type and annotations': 'has no referrers',
  'a tag is deleted, and nothing else': 'deletes no tags',
}

let unique = 0
const newRepository = () => `conformance/${++unique}`

describe('a test registry', () => {
  it.each(Object.entries(requirements))('conforms: %s', async (_sentence, check) => {
    await using registry = await createTestRegistry()
    await check(new RepositoryApi(registry.origin, newRepository()))
  })
})

// Another's registry shows that these are the specification's requirements and not a description of ours.
describe('docker-registry', () => {
  let server: { origin: string; stop(): Promise<void> } | undefined

  beforeAll(async () => {
    if (which('docker-registry') !== undefined) server = await startDockerRegistry()
  })

  afterAll(() => server?.stop())

  function api(context: TestContext): RepositoryApi {
    requiresProgram(context, 'docker-registry')
    return new RepositoryApi(server?.origin ?? '', newRepository())
  }

  it.for(
    Object.entries(requirements).filter(
      ([sentence]) => !(sentence in OTHERWISE_IN_DOCKER_REGISTRY),
    ),
  )('conforms: %s', ([_sentence, check], context) => check(api(context)))

  it.for(Object.entries(OTHERWISE_IN_DOCKER_REGISTRY))(
    'of version 2.8.2 is caught: %s (it %s)',
    async ([sentence], context) => {
      const target = api(context)
      const { stdout } = await promisify(execFile)('docker-registry', ['--version'])
      if (!stdout.includes(' 2.8.2')) context.skip('this is another version')
      await expect(requirements[sentence]?.(target)).rejects.toThrow()
    },
  )
})
