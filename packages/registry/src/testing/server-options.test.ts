import { request } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../image/digest.ts'
import { MEDIA_TYPES } from '../image/media-types.ts'
import {
  binary,
  errorCodes,
  imageManifest,
  locationOf,
  RepositoryApi,
  withDigest,
} from './conformance.test.fixture.ts'
import {
  createTestRegistry,
  makeCertificate,
  makeImage,
  makeLayer,
  type TestRegistry,
  type TestRegistryOptions,
} from './index.ts'

const image = makeImage({ layers: [makeLayer({ a: 'a' })] })
const [layer = makeLayer({})] = image.layers
const blob = `blobs/${layer.digest}`
const { digest } = image.manifest.descriptor
const bytes = Buffer.from('0123456789')

/** Run `action` with a registry that has `team/app:1`. */
async function withRegistry(
  options: TestRegistryOptions,
  action: (api: RepositoryApi, registry: TestRegistry) => Promise<void>,
): Promise<void> {
  await using registry = await createTestRegistry(options)
  registry.addImage('team/app:1', image)
  await action(new RepositoryApi(registry.origin, 'team/app'), registry)
}

describe('a test registry can be told', () => {
  it('to be read-only', () =>
    withRegistry({ readOnly: true }, async (api) => {
      expect((await api.getManifest('1')).status).toBe(200)
      const changes = [
        ['POST', 'blobs/uploads/'],
        ['PUT', 'manifests/2'],
        ['DELETE', 'manifests/1'],
        ['DELETE', blob],
      ] as const
      for (const [method, path] of changes) {
        const reply = await api.ask(method, path)
        expect([reply.status, errorCodes(reply)]).toEqual([405, ['UNSUPPORTED']])
      }
    }))

  it.each([
    ['tags', 'manifests/1'],
    ['manifests', `manifests/${digest}`],
    ['blobs', blob],
  ])('not to delete %s', (kind, path) =>
    withRegistry({ deletion: { [kind]: false } }, async (api) => {
      for (const each of [path, 'manifests/1', blob, `manifests/${digest}`]) {
        expect([each, (await api.ask('DELETE', each)).status]).toEqual([
          each,
          each === path ? 405 : 202,
        ])
      }
    }),
  )

  it('to have no referrers API', () =>
    withRegistry({ referrers: false }, async (api) => {
      const { reply } = await api.pushManifest('2', { subject: image.manifest.descriptor })
      expect(reply.headers.get('oci-subject')).toBe(null)
      expect((await api.ask('GET', `referrers/${digest}`)).status).toBe(404)
    }))

  it('to take manifests before their parts', () =>
    withRegistry({ sparse: true }, async (api) => {
      const manifest = imageManifest({ digest: digestOf(Buffer.from('elsewhere')), size: 9 })
      expect((await api.putManifest('2', manifest)).status).toBe(201)
    }))

  it('to be content with those who read anything', async () => {
    for (const strictAccept of [true, false]) {
      await withRegistry({ strictAccept }, async (api) => {
        const status = async (accept: string) =>
          (await api.ask('GET', 'manifests/1', { headers: { accept } })).status
        expect(await status('*/*')).toBe(strictAccept ? 404 : 200)
        expect(await status(MEDIA_TYPES.ociIndex)).toBe(404)
      })
    }
  })

  it('to mount nothing of its own accord', () =>
    withRegistry({ automaticMount: false }, async (api) => {
      const other = api.sibling('other')
      expect((await other.ask('POST', `blobs/uploads/?mount=${layer.digest}`)).status).toBe(202)
    }))

  it('to want chunks of a size', () =>
    withRegistry({ chunkMinBytes: 4 }, async (api) => {
      const begun = await api.ask('POST', 'blobs/uploads/')
      expect(begun.headers.get('oci-chunk-min-length')).toBe('4')
      await api.ask('PATCH', locationOf(begun), binary(bytes.subarray(0, 4), 0))
      await api.ask('PATCH', locationOf(begun), binary(bytes.subarray(4, 6), 4))
      const late = await api.ask('PATCH', locationOf(begun), binary(bytes.subarray(6), 6))
      expect([late.status, errorCodes(late)]).toEqual([400, ['SIZE_INVALID']])
      const last = binary(bytes.subarray(6), 6)
      const put = await api.ask('PUT', withDigest(locationOf(begun), digestOf(bytes)), last)
      expect(put.status).toBe(201)
    }))

  it('to list so many things at once', () =>
    withRegistry({ pageSize: 2 }, async (api, registry) => {
      for (const name of ['a:1', 'b:1', 'c:1']) registry.addImage(name, image)
      for (const tag of ['x', 'y', 'z', 'w']) {
        await api.pushManifest(tag, {
          subject: image.manifest.descriptor,
          artifactType: 'of/interest',
        })
      }
      const pages = async (path: string) => {
        const sizes: number[] = []
        for (let next: string | undefined = path; next !== undefined; ) {
          const reply = await api.ask('GET', next)
          const { tags, repositories, manifests } = JSON.parse(`${reply.body}`)
          sizes.push((tags ?? repositories ?? manifests).length)
          next = /^<(.*)>; rel="next"$/.exec(reply.headers.get('link') ?? '')?.[1]
        }
        return sizes
      }
      expect(await pages('tags/list')).toEqual([2, 2, 1])
      expect(await pages('tags/list?n=1')).toEqual([1, 1, 1, 1, 1])
      expect(await pages('/v2/_catalog')).toEqual([2, 2])
      expect(await pages(`referrers/${digest}?artifactType=of/interest`)).toEqual([2, 2])
      expect(await pages(`referrers/${digest}?artifactType=of/none`)).toEqual([0])
    }))

  it('to count the manifests that are read, as Docker Hub does', () =>
    withRegistry({ rateLimit: { limit: 2, windowSeconds: 60 } }, async (api) => {
      const remaining = []
      for (const method of ['HEAD', 'GET', 'HEAD', 'GET']) {
        const { status, headers } = await api.getManifest('1', method)
        expect([status, headers.get('ratelimit-limit')]).toEqual([200, '2;w=60'])
        remaining.push(headers.get('ratelimit-remaining'))
      }
      expect(remaining).toEqual(['2;w=60', '1;w=60', '1;w=60', '0;w=60'])
      const reply = await api.getManifest('1')
      expect([reply.status, errorCodes(reply)]).toEqual([429, ['TOOMANYREQUESTS']])
      expect(Number(reply.headers.get('retry-after'))).toBeGreaterThan(0)
    }))

  it('to warn', () =>
    withRegistry({ warnings: ['it is "old"', 'it ends'] }, async (api) => {
      const { headers } = await api.ask('GET', 'tags/list')
      expect(headers.get('warning')).toBe('299 - "it is \\"old\\"", 299 - "it ends"')
    }))

  it('to serve blobs from another port, by URLs that end', () =>
    withRegistry({ redirectBlobs: { uses: 1, lifeMs: 60_000 } }, async (api) => {
      const location = locationOf(await api.ask('GET', blob))
      expect(new URL(location).host).not.toBe(new URL(api.origin).host)
      const authorization = 'Bearer x'
      expect((await api.ask('GET', location, { headers: { authorization } })).status).toBe(400)
      expect((await api.ask('GET', location)).body.equals(layer.blob)).toBe(true)
      expect((await api.ask('GET', location)).status).toBe(403)
      expect((await api.ask('GET', `${location}x`)).status).toBe(403)
    }))

  it('to let such URLs expire', () =>
    withRegistry({ redirectBlobs: { lifeMs: 20 } }, async (api) => {
      const location = locationOf(await api.ask('GET', blob))
      await sleep(25)
      expect((await api.ask('GET', location)).status).toBe(403)
    }))

  it('to speak TLS, also with clients that have to show a certificate', async () => {
    const server = makeCertificate(['192.0.2.1', 'registry.example', '2001:db8::1'])
    const client = makeCertificate()
    await using registry = await createTestRegistry({ tls: { ...server, clientCa: client.cert } })
    const status = (certificate: object) =>
      new Promise((resolve, reject) => {
        const options = { ca: server.cert, ...certificate, agent: false }
        request(`${registry.origin}/v2/`, options, ({ statusCode }) => resolve(statusCode))
          .on('error', reject)
          .end()
      })
    expect(await status(client)).toBe(200)
    await expect(status({})).rejects.toThrow()
    await expect(status({ ...client, ca: client.cert })).rejects.toThrow('self-signed')
  })
})

describe('a test registry', () => {
  it.each([
    ['GET', '/v2/UPPER/tags/list', 400, 'NAME_INVALID'],
    ['PUT', 'manifests/-bad', 400, 'MANIFEST_INVALID'],
    ['PUT', 'manifests/sha256:12', 400, 'DIGEST_INVALID'],
    ['POST', 'blobs/uploads/?digest=sha256:12', 400, 'DIGEST_INVALID'],
    ['POST', 'blobs/uploads/?digest-algorithm=md5', 400, 'DIGEST_INVALID'],
    ['GET', 'tags/list?n=few', 400, 'UNSUPPORTED'],
    ['GET', 'tags', 404, 'UNSUPPORTED'],
    ['GET', '/', 404, 'UNSUPPORTED'],
    ['PUT', 'tags/list', 405, 'UNSUPPORTED'],
    ['PATCH', 'blobs/uploads/none', 404, 'BLOB_UPLOAD_UNKNOWN'],
  ])('refuses %s %s', (method, path, status, code) =>
    withRegistry({}, async (api) => {
      const reply = await api.ask(method, path)
      expect([reply.status, errorCodes(reply)]).toEqual([status, [code]])
    }),
  )

  it.each([
    ['another media type', { mediaType: MEDIA_TYPES.ociIndex }],
    ['another schema', { schemaVersion: 1 }],
    ['layers that are no descriptors', { layers: [{ digest }] }],
    ['a subject that is no descriptor', { subject: 'x' }],
  ])('refuses a manifest with %s', (_what, more) =>
    withRegistry({}, async (api) => {
      const config = { digest: await api.pushBlob(bytes), size: bytes.length }
      const put = await api.putManifest('2', imageManifest(config, more))
      expect([put.status, errorCodes(put)]).toEqual([400, ['MANIFEST_INVALID']])
    }),
  )

  it('wants the parts of a manifest first, but those that are elsewhere', () =>
    withRegistry({}, async (api) => {
      const config = { digest: await api.pushBlob(bytes), size: bytes.length }
      const absent = { mediaType: MEDIA_TYPES.ociLayer, digest: digestOf(Buffer.of()), size: 0 }
      const put = await api.putManifest('2', imageManifest(config, { layers: [absent] }))
      expect([put.status, errorCodes(put)]).toEqual([400, ['MANIFEST_BLOB_UNKNOWN']])
      const mediaType = MEDIA_TYPES.ociIndex
      const index = { schemaVersion: 2, mediaType, manifests: [absent] }
      const second = await api.putManifest('2', Buffer.from(JSON.stringify(index)), mediaType)
      expect([second.status, errorCodes(second)]).toEqual([400, ['MANIFEST_BLOB_UNKNOWN']])
      const foreign = { ...absent, urls: ['https://registry.example/layer'] }
      await expect(api.pushManifest('2', { layers: [foreign] })).resolves.toBeDefined()
    }))

  it('lists a tag no more whose manifest is deleted', () =>
    withRegistry({}, async (api, registry) => {
      await api.pushManifest('2')
      await api.ask('DELETE', `manifests/${digest}`)
      expect(registry.tags('team/app')).toEqual(['2'])
    }))

  it('computes the digest that a blob has in the end, whatever was said at its beginning', () =>
    withRegistry({}, async (api) => {
      for (const content of [bytes, Buffer.from('others')]) {
        const location = withDigest(await api.beginUpload(), digestOf(bytes, 'sha512'))
        const { status } = await api.ask('PUT', location, binary(content))
        expect(status).toBe(content === bytes ? 201 : 400)
      }
    }))

  it('wants the whole URL that it gave for an upload', () =>
    withRegistry({}, async (api) => {
      const location = await api.beginUpload()
      const [path = ''] = location.split('?')
      const reply = await api.ask('PATCH', path, binary(bytes))
      expect([reply.status, errorCodes(reply)]).toEqual([400, ['BLOB_UPLOAD_INVALID']])
      expect((await api.ask('PATCH', location, binary(bytes))).status).toBe(202)
    }))

  it.each(['bytes 0-9/10', '0-', 'x'])('wants a Content-Range of its form, not %s', (range) =>
    withRegistry({}, async (api) => {
      const { body, headers } = { ...binary(bytes), headers: { 'content-range': range } }
      const reply = await api.ask('PATCH', await api.beginUpload(), {
        headers,
        body: body ?? bytes,
      })
      expect([reply.status, errorCodes(reply)]).toEqual([400, ['BLOB_UPLOAD_INVALID']])
    }),
  )

  it('keeps what came of an upload before it was cut, and takes the rest', () =>
    withRegistry(
      { faults: [{ on: 'upload', method: 'PATCH', type: 'cut-upload', afterBytes: 4 }] },
      async (api, registry) => {
        const location = await api.beginUpload()
        await expect(api.ask('PATCH', location, binary(bytes, 0))).rejects.toThrow()
        expect(registry.requests.at(-1)).toMatchObject({ method: 'PATCH', status: 0, received: 4 })
        expect((await api.ask('GET', location)).headers.get('range')).toBe('0-3')
        expect(registry.openUploads).toBe(1)
        const rest = binary(bytes.subarray(4), 4)
        expect((await api.ask('PUT', withDigest(location, digestOf(bytes)), rest)).status).toBe(201)
        expect(await registry.blob('team/app', digestOf(bytes))).toEqual(bytes)
      },
    ))

  it('takes uploads at another origin, if that is where it sent them', () =>
    withRegistry(
      { faults: [{ on: 'upload', type: 'upload-elsewhere', host: 'localhost' }] },
      async (api) => {
        const location = await api.beginUpload()
        expect(new URL(location).hostname).toBe('localhost')
        const patched = await api.ask('PATCH', location, binary(bytes, 0))
        const next = new URL(locationOf(patched), location).href
        expect((await api.ask('PUT', withDigest(next, digestOf(bytes)))).status).toBe(201)
        expect((await api.ask('GET', `blobs/${digestOf(bytes)}`)).body).toEqual(bytes)
      },
    ))

  it('says that nothing changed to whom knows it, and writes only where the writer is right', () =>
    withRegistry({}, async (api) => {
      const etag = (await api.getManifest('1')).headers.get('etag') ?? ''
      const headers = { accept: MEDIA_TYPES.ociManifest, 'if-none-match': etag }
      expect((await api.ask('GET', 'manifests/1', { headers })).status).toBe(304)
      expect(
        (await api.ask('GET', blob, { headers: { 'if-none-match': `"${layer.digest}"` } })).status,
      ).toBe(304)
      const put = (conditions: Record<string, string>) => {
        const type = { 'content-type': MEDIA_TYPES.ociManifest }
        return api.ask('PUT', 'manifests/1', {
          headers: { ...type, ...conditions },
          body: image.manifest.bytes,
        })
      }
      expect((await put({ 'if-match': '"sha256:other"' })).status).toBe(412)
      expect((await put({ 'if-none-match': '*' })).status).toBe(412)
      expect((await put({ 'if-match': etag })).status).toBe(201)
    }))

  it('resets connections, or ends them when all is done', () =>
    withRegistry({}, async (api, registry) => {
      registry.addFault({ on: 'manifest', type: 'reset' })
      registry.addFault({ on: 'manifest', type: 'lost-answer' })
      const failure = () => api.ask('DELETE', 'manifests/1').catch((error) => error.cause.code)
      expect([await failure(), registry.tags('team/app')]).toEqual(['ECONNRESET', ['1']])
      expect([await failure(), registry.tags('team/app')]).toEqual(['UND_ERR_SOCKET', []])
    }))

  it('makes faults where and when it is told to', () =>
    withRegistry({}, async (api, registry) => {
      registry.addImage('other:1', image)
      registry.addFault({
        on: 'manifest',
        repository: 'other',
        method: 'GET',
        nth: 2,
        times: 2,
        type: 'status',
        status: 500,
      })
      const statuses = async (repository: RepositoryApi, method: string) => {
        const all = []
        for (let i = 0; i < 4; i++) all.push((await repository.getManifest('1', method)).status)
        return all
      }
      expect(await statuses(api, 'GET')).toEqual([200, 200, 200, 200])
      expect(await statuses(api.sibling('other'), 'HEAD')).toEqual([200, 200, 200, 200])
      expect(await statuses(api.sibling('other'), 'GET')).toEqual([200, 500, 500, 200])
    }))
})
