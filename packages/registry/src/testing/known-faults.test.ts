import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../image/digest.ts'
import { MEDIA_TYPES } from '../image/media-types.ts'
import type { Endpoint } from './fault.ts'
import {
  createTestRegistry,
  KNOWN_FAULTS,
  makeImage,
  makeLayer,
  type TestRegistry,
} from './index.ts'

/** Long enough for any answer that comes at all; one that is late would count as one that does not come. */
const PATIENCE_MS = 250
const OFTEN = 9

const image = makeImage({ layers: [makeLayer({ a: randomBytes(1000) })] })
const [layer = makeLayer({})] = image.layers
const artifactType = 'example/sbom'
const content = randomBytes(100)
const digest = digestOf(content)

const METHODS: Record<Endpoint, readonly string[]> = {
  ping: ['GET'],
  token: ['GET', 'POST'],
  manifest: ['GET', 'HEAD', 'PUT', 'DELETE'],
  blob: ['GET', 'HEAD', 'DELETE'],
  redirect: [],
  upload: ['GET', 'POST', 'PATCH', 'PUT', 'DELETE'],
  tags: ['GET'],
  catalog: ['GET'],
  referrers: ['GET'],
}

const cases = KNOWN_FAULTS.flatMap((fault) =>
  fault.on.flatMap((on) =>
    METHODS[on]
      .filter((method) => (fault.methods ?? ['GET']).includes(method))
      .map((method) => ({ ...fault, on, method })),
  ),
)

describe('every known fault', () => {
  it('has a name of its own, and happens somewhere', () => {
    const names = KNOWN_FAULTS.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    expect(new Set(cases.map(({ name }) => name)).size).toBe(names.length)
  })

  it.each(cases)('makes a difference: $name, $method of $on', async ({ effect, on, method }) => {
    const faulty = await observe(on, method, (registry) => {
      registry.addFault({ ...effect, on, method, times: OFTEN })
    })
    expect(faulty).not.toEqual(await observe(on, method))
  })

  it.each(
    Object.entries(METHODS).flatMap(([on, methods]) =>
      methods.map((method) => [method, on] as const),
    ),
  )('is missed where there is none: %s of %s', async (method, on) => {
    // The keys of METHODS are endpoints.
    const endpoint = on as Endpoint
    expect(await observe(endpoint, method)).toEqual(await observe(endpoint, method))
  })
})

/** What is said to all that one may ask of an endpoint by a method. */
async function observe(
  on: Endpoint,
  method: string,
  arrange?: (registry: TestRegistry) => void,
): Promise<unknown[]> {
  await using registry = await createTestRegistry({ pageSize: 1, tokenService: 'registry' })
  for (const name of ['team/app:1', 'team/app:2', 'team/base:1']) registry.addImage(name, image)
  const api = `${registry.origin}/v2/team/app/`
  for (const text of ['a', 'b']) await putManifest(api, sbom(text))
  const upload = new URL((await post(api)).headers.get('location') ?? '', api).href
  arrange?.(registry)
  const signal = arrange === undefined ? {} : { signal: AbortSignal.timeout(PATIENCE_MS) }
  const observed: unknown[] = []
  for (const [path, init] of questions(on, method, upload)) {
    observed.push(
      await outcomeOf(
        fetch(new URL(path, api), { method, redirect: 'manual', ...init, ...signal }),
      ),
    )
  }
  return observed
}

function questions(on: Endpoint, method: string, upload: string): Array<[string, RequestInit]> {
  const accept = { headers: { accept: MEDIA_TYPES.ociManifest } }
  const bytes = { body: content }
  switch (on) {
    case 'ping':
      return [['/v2/', {}]]
    case 'token':
      return [['/token', method === 'POST' ? { body: 'grant_type=refresh_token' } : {}]]
    case 'manifest':
      if (method === 'PUT') return [[sbom('c').path, sbom('c').init]]
      return [['manifests/1', accept]]
    case 'blob':
      return [
        [`blobs/${layer.digest}`, { headers: { range: 'bytes=5-9' } }],
        [`blobs/${layer.digest}`, {}],
      ]
    case 'referrers':
      return [[`referrers/${image.manifest.descriptor.digest}?artifactType=${artifactType}`, {}]]
    case 'tags':
      return [['tags/list', {}]]
    case 'catalog':
      return [['/v2/_catalog', {}]]
    case 'upload':
      if (method === 'PATCH') return [[upload, bytes]]
      if (method === 'PUT') return [[`${upload}&digest=${digest}`, bytes]]
      if (method !== 'POST') return [[upload, {}]]
      return [
        ['blobs/uploads/', {}],
        [`blobs/uploads/?mount=${layer.digest}&from=team/base`, {}],
        [`blobs/uploads/?digest=${digest}`, bytes],
      ]
    default:
      return []
  }
}

function sbom(text: string) {
  const document = {
    ...JSON.parse(`${image.manifest.bytes}`),
    artifactType,
    annotations: { text },
    subject: image.manifest.descriptor,
  }
  const body = Buffer.from(JSON.stringify(document))
  const headers = { 'content-type': MEDIA_TYPES.ociManifest }
  return { path: `manifests/${digestOf(body)}`, init: { method: 'PUT', headers, body } }
}

async function putManifest(api: string, { path, init }: ReturnType<typeof sbom>): Promise<void> {
  expect((await fetch(new URL(path, api), init)).status).toBe(201)
}

function post(api: string): Promise<Response> {
  return fetch(new URL('blobs/uploads/', api), { method: 'POST' })
}

/** Status, headers and body, without what is another each time; or that it failed. */
async function outcomeOf(answer: Promise<Response>): Promise<unknown> {
  try {
    const response = await answer
    const chunks: Uint8Array[] = []
    for await (const chunk of response.body ?? []) chunks.push(chunk)
    return {
      status: response.status,
      headers: stable([...response.headers].filter(([name]) => !UNSTABLE.has(name)).join('\n')),
      body: stable(digestOrText(Buffer.concat(chunks))),
      inPieces: chunks.length > 3,
    }
  } catch {
    return 'failed'
  }
}

const UNSTABLE = new Set(['date', 'docker-upload-uuid'])

function stable(text: string): string {
  return text
    .replace(/[0-9a-f-]{36}\?state=[\w-]+/g, 'SESSION')
    .replace(/"(token|access_token|issued_at)":"[^"]*"/g, '"$1":""')
}

function digestOrText(bytes: Buffer): string {
  return bytes.length > 10_000 ? `${bytes.length} bytes` : bytes.toString('latin1')
}
