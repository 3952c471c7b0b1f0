import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import { staticCredentials } from '../auth/credentials.ts'
import type { Retry } from '../http/retry.ts'
import { digestOf } from '../image/digest.ts'
import { parseReference } from '../image/reference.ts'
import type { Fault, TestRegistry } from '../testing/index.ts'
import { type BlobSource, bytesSource } from './blob-source.ts'
import { createBench } from './servers.test.fixture.ts'

const MIB = 1024 * 1024
const bytes = randomBytes(3 * MIB + 1)
const digest = digestOf(bytes)
const source = bytesSource(bytes)
const users = { ann: 'password' }
const { start, connect, serve, close } = createBench()

afterEach(close)

describe('pushBlob', () => {
  it.for([
    ['as a whole', {}, ['HEAD', 'POST', 'PUT']],
    ['in chunks', { chunkBytes: MIB }, ['HEAD', 'POST', 'PATCH', 'PATCH', 'PATCH', 'PATCH', 'PUT']],
    ['in one request', { singlePost: true }, ['HEAD', 'POST']],
    ['in no more pieces than there are', { chunkBytes: 4 * MIB }, ['HEAD', 'POST', 'PUT']],
  ] as const)('sends a blob %s', async ([, options, methods]) => {
    const { registry, client, reference } = await start()
    const sent: number[] = []
    const onProgress = (count: number) => sent.push(count)
    expect(await client.pushBlob(reference, source, { ...options, onProgress })).toBe('uploaded')
    expect(methodsOf(registry)).toEqual(methods)
    await expectStored(registry)
    expect(sent.at(-1)).toBe(bytes.length)
    expect(sent.length).toBeLessThan(bytes.length / 65536)
    expect(sent).toEqual([...sent].sort((a, b) => a - b))
    expect(registry.openUploads).toBe(0)
  })

  it('sends no smaller chunks than the registry takes', async () => {
    const { registry, client, reference } = await start({ chunkMinBytes: 2 * MIB })
    await client.pushBlob(reference, source, { chunkBytes: MIB })
    await expectStored(registry)
    const ranges = registry.requests.map(({ headers }) => headers['content-range'])
    expect(ranges.filter(Boolean)).toEqual([`0-${2 * MIB - 1}`, `${2 * MIB}-${3 * MIB}`])
  })

  it.for([
    ['a whole', {}, 'PUT'],
    ['chunks', { chunkBytes: 2 * MIB }, 'PATCH'],
  ] as const)('goes on where a broken transfer of %s stopped', async ([, options, method]) => {
    const cut = { on: 'upload', method, type: 'cut-upload', afterBytes: MIB + 12_345 } as const
    const { registry, client, reference } = await start({ faults: [cut] })
    const retries: Retry[] = []
    const onRetry = (retry: Retry) => retries.push(retry)
    expect(await client.pushBlob(reference, source, { ...options, onRetry })).toBe('uploaded')
    await expectStored(registry)
    expect(retries).toHaveLength(1)
    const received = registry.requests.reduce((sum, request) => sum + request.received, 0)
    expect(received).toBe(bytes.length)
    expect(registry.openUploads).toBe(0)
  })

  it.for<[string, Fault, object]>([
    ['forgets the upload', { on: 'upload', method: 'PUT', type: 'upload-lost' }, {}],
    [
      'forgets it between chunks',
      { on: 'upload', method: 'PATCH', nth: 3, type: 'upload-lost' },
      { chunkBytes: MIB },
    ],
    [
      'keeps less of a chunk than it got',
      { on: 'upload', method: 'PATCH', nth: 2, type: 'short-chunk', bytes: 1000 },
      { chunkBytes: MIB },
    ],
    ['cuts the connection', { on: 'upload', method: 'POST', type: 'reset' }, {}],
    ['stores it and does not say so', { on: 'upload', method: 'PUT', type: 'lost-answer' }, {}],
    [
      'takes a chunk and does not say so',
      { on: 'upload', method: 'PATCH', nth: 2, type: 'lost-answer' },
      { chunkBytes: MIB },
    ],
    ['is overloaded', { on: 'upload', method: 'PUT', type: 'status', status: 503 }, {}],
    [
      'has had enough for now',
      { on: 'upload', method: 'PATCH', type: 'status', status: 429, retryAfter: '0' },
      { chunkBytes: MIB },
    ],
    ['takes only chunks', { on: 'upload', type: 'chunked-only', times: 99 }, {}],
    [
      'takes only chunks, given one request',
      { on: 'upload', type: 'chunked-only', times: 99 },
      { singlePost: true },
    ],
    ['takes no chunks', { on: 'upload', type: 'monolithic-only', times: 99 }, { chunkBytes: MIB }],
    ['has its uploads elsewhere', { on: 'upload', method: 'POST', type: 'upload-elsewhere' }, {}],
    ['redirects', { on: 'upload', method: 'PUT', type: 'redirect', to: 'itself', status: 307 }, {}],
  ])('succeeds though the registry %s', async ([, fault, options]) => {
    const { registry, client, reference } = await start({ faults: [fault] })
    expect(await client.pushBlob(reference, source, options)).toBe('uploaded')
    await expectStored(registry)
    expect(registry.openUploads).toBe(0)
  })

  it('gives up after as many attempts as the policy has, and cancels', async () => {
    const fault = { on: 'upload', method: 'PUT', type: 'status', status: 503, times: 99 } as const
    const { registry, client, reference } = await start({ faults: [fault] })
    await expect(client.pushBlob(reference, source)).rejects.toMatchObject({
      code: 'ERR_REGISTRY_SERVER',
      message: expect.stringContaining(digest),
    })
    expect(methodsOf(registry).filter((method) => method === 'PUT')).toHaveLength(3)
    expect(registry.openUploads).toBe(0)
  })

  it('stops when told to, and cancels', async () => {
    const { registry, client, reference } = await start()
    const stop = new AbortController()
    const reason = new Error('enough')
    const call = {
      chunkBytes: MIB,
      signal: stop.signal,
      onProgress: (sent: number) => sent > MIB && stop.abort(reason),
    }
    await expect(client.pushBlob(reference, source, call)).rejects.toMatchObject({
      code: 'ERR_REGISTRY_ABORTED',
      cause: reason,
    })
    expect(methodsOf(registry).at(-1)).toBe('DELETE')
    expect(registry.openUploads).toBe(0)
    expect(await registry.blob('team/app', digest)).toBeUndefined()
  })

  it.for([
    ['other bytes', Buffer.concat([bytes.subarray(0, -1), Buffer.from([0])])],
    ['fewer bytes', bytes.subarray(0, 2 * MIB)],
  ] as const)('never completes an upload of %s than the descriptor says', async ([, given]) => {
    const { registry, client, reference } = await start()
    const changed: BlobSource = { ...bytesSource(given), descriptor: source.descriptor }
    for (const options of [{}, { chunkBytes: MIB }, { singlePost: true }]) {
      await expect(client.pushBlob(reference, changed, options)).rejects.toMatchObject({
        code: 'ERR_REGISTRY_SOURCE_CHANGED',
        expected: digest,
      })
    }
    const complete = registry.requests.filter(({ received }) => received >= given.length)
    expect(complete).toEqual([])
    expect(await registry.blob('team/app', digest)).toBeUndefined()
  })

  it('is told if the registry stored something else', async () => {
    const fault = { on: 'upload', method: 'PUT', type: 'wrong-digest-header' } as const
    const { client, reference } = await start({ faults: [fault] })
    await expect(client.pushBlob(reference, source)).rejects.toMatchObject({
      code: 'ERR_REGISTRY_DIGEST_MISMATCH',
      expected: digest,
    })
  })

  it.for([400, 404, 405])(
    'sends in two requests what the registry refuses (%i) in one',
    async (status) => {
      const fault = {
        on: 'upload',
        method: 'POST',
        path: 'digest=',
        type: 'status',
        status,
      } as const
      const { registry, client, reference } = await start({ faults: [fault] })
      expect(await client.pushBlob(reference, source, { singlePost: true })).toBe('uploaded')
      await expectStored(registry)
      expect(methodsOf(registry)).toEqual(['HEAD', 'POST', 'POST', 'PUT'])
    },
  )
})

describe('mounting', () => {
  it.for([
    ['from a repository that has it', ['team/none', 'team/base'], 'mounted'],
    ['from wherever it is', [], 'mounted'],
    ['not if nobody has it there, but uploads', ['team/none'], 'uploaded'],
  ] as const)('links a blob %s', async ([, mountFrom, outcome]) => {
    const { registry, client, reference } = await start()
    registry.addBlob('team/base', bytes)
    expect(await client.pushBlob(reference, source, { mountFrom })).toBe(outcome)
    await expectStored(registry)
    expect(registry.openUploads).toBe(0)
    const posts = registry.requests.filter(({ method }) => method === 'POST')
    expect(posts).toHaveLength(Math.max(1, mountFrom.length))
  })

  it.for([400, 401, 403, 404, 405])(
    'uploads where status %i says that nothing is mounted',
    async (status) => {
      const fault = { on: 'upload', path: 'mount=', type: 'status', status, times: 9 } as const
      const { registry, client, reference } = await start({ faults: [fault] })
      registry.addBlob('team/base', bytes)
      for (const mountFrom of [['team/base'], []]) {
        expect(await client.pushBlob(reference, source, { mountFrom })).toBe('uploaded')
        await client.deleteBlob(reference, digest)
      }
    },
  )

  it('asks for a token that is good for both repositories', async () => {
    const { registry, client, reference } = await start(
      { auth: 'token', users, private: true },
      (host) => ({
        credentials: staticCredentials(host, 'ann', users.ann),
      }),
    )
    registry.addBlob('team/base', bytes)
    expect(await client.pushBlob(reference, source, { mountFrom: ['team/base'] })).toBe('mounted')
    const posts = registry.requests.filter(({ method }) => method === 'POST')
    expect(posts.map(({ status }) => status)).toEqual([201])
  })
})

it.for([
  ['before the blob is sent', {}, 'POST'],
  ['between chunks', { chunkBytes: MIB }, 'PATCH'],
] as const)('gets another token if the last one ends %s', async ([, options, method]) => {
  const registries: TestRegistry[] = []
  let revoked = false
  const { registry, client, reference } = await start({ auth: 'token', users }, (host) => ({
    credentials: staticCredentials(host, 'ann', users.ann),
    onEvent: (event) => {
      if (event.type !== 'request' || event.method !== method || event.status !== 202) return
      if (!revoked) registries[0]?.revokeTokens()
      revoked = true
    },
  }))
  registries.push(registry)
  expect(await client.pushBlob(reference, source, options)).toBe('uploaded')
  await expectStored(registry)
  const refused = registry.requests.filter(({ status }) => status === 401)
  expect(refused.map((request) => request.method)).toEqual([
    'HEAD',
    method === 'POST' ? 'PUT' : 'PATCH',
  ])
})

describe('what is there already', () => {
  it('is not sent, and is asked for where it would be sent to, not of a mirror', async () => {
    const { registry: mirror } = await start()
    mirror.addBlob('team/app', bytes)
    const { registry, client, reference } = await start({}, (host) => ({
      hosts: [{ prefix: host, mirrors: [{ location: mirror.host, insecure: true }] }],
    }))
    expect(await client.hasBlob(reference, source.descriptor)).toBe(false)
    expect(await client.pushBlob(reference, source)).toBe('uploaded')
    await expectStored(registry)
    expect(await client.hasBlob(reference, source.descriptor)).toBe(true)
    expect(await client.pushBlob(reference, source)).toBe('exists')
    expect(mirror.requests).toEqual([])
  })

  it('is sent again if it has another size', async () => {
    const fault = { on: 'blob', method: 'HEAD', type: 'resize', bytes: -1 } as const
    const { registry, client, reference } = await start({ faults: [fault] })
    registry.addBlob('team/app', bytes)
    expect(await client.pushBlob(reference, source)).toBe('uploaded')
  })
})

describe('the address of an upload', () => {
  it('keeps its query to the byte, and the credentials only where they belong', async () => {
    const seen: Array<{ host: string; url: string; authorization: string | undefined }> = []
    const other = await serve((request, host) => {
      seen.push({ host, url: request.url, authorization: request.authorization })
      return [201]
    })
    const host = await serve((request, own) => {
      seen.push({ host: own, url: request.url, authorization: request.authorization })
      if (request.authorization === undefined)
        return [401, { 'www-authenticate': 'Basic realm="x"' }]
      if (request.method === 'HEAD') return [404]
      return [202, { location: `http://${other}/up;x?_state=a~b%2Fc==&z=%20+` }]
    })
    const credentials = staticCredentials(host, 'ann', users.ann)
    const client = connect({ credentials })
    const reference = parseReference(`${host}/team/app`)
    expect(await client.pushBlob(reference, source)).toBe('uploaded')
    const away = seen.filter((request) => request.host === other)
    expect(away).toEqual([
      {
        host: other,
        url: `/up;x?_state=a~b%2Fc==&z=%20+&digest=${encodeURIComponent(digest)}`,
        authorization: undefined,
      },
    ])
    expect(
      seen.filter(({ authorization }) => authorization).every((request) => request.host === host),
    ).toBe(true)
  })

  it.for([
    'http://registry.example/upload',
    'https://169.254.169.254/latest/meta-data',
    'file:///etc/passwd',
  ])('is refused if it is %s', async (location) => {
    const host = await serve(({ method }) => (method === 'HEAD' ? [404] : [202, { location }]))
    await expect(
      connect().pushBlob(parseReference(`${host}/team/app`), source),
    ).rejects.toMatchObject({
      code: 'ERR_REGISTRY_UNSAFE_REDIRECT',
    })
  })

  it('is missed if there is none', async () => {
    const host = await serve(({ method }) => (method === 'HEAD' ? [404] : [202]))
    await expect(
      connect().pushBlob(parseReference(`${host}/team/app`), source),
    ).rejects.toMatchObject({
      code: 'ERR_REGISTRY_PROTOCOL',
    })
  })
})

it('does not believe a registry that takes a blob and does not have it', async () => {
  const host = await serve(({ method }) => (method === 'HEAD' ? [404] : [202, { location: '/up' }]))
  await expect(
    connect().pushBlob(parseReference(`${host}/team/app`), source),
  ).rejects.toMatchObject({
    code: 'ERR_REGISTRY_PROTOCOL',
    message: expect.stringContaining('does not have it'),
  })
})

it.for(['0-4000000', '0-0', 'bytes', ''])(
  'begins anew if a registry says that it has %s of what broke off',
  async (range) => {
    const seen: string[] = []
    const host = await serve(({ method, url, body }) => {
      if (method !== 'HEAD' && url !== '/v2/') seen.push(`${method} ${url} ${body.length > 0}`)
      if (method === 'POST') return [202, { location: `/up${seen.length}` }]
      if (method === 'GET') return [204, { location: '/up9', ...(range === '' ? {} : { range }) }]
      if (method === 'PUT') return [seen.length > 2 ? 201 : 503]
      return [404]
    })
    await connect().pushBlob(parseReference(`${host}/team/app`), source)
    const query = `?digest=${encodeURIComponent(digest)}`
    expect(seen).toEqual([
      'POST /v2/team/app/blobs/uploads/ false',
      `PUT /up1${query} true`,
      'GET /up1 false',
      'DELETE /up1 false',
      'POST /v2/team/app/blobs/uploads/ false',
      `PUT /up5${query} true`,
    ])
  },
)

it('does not believe a registry that has fewer bytes than before', async () => {
  const host = await serve(({ method }) => {
    if (method === 'HEAD') return [404]
    return [202, { location: '/up', ...(method === 'PATCH' ? { range: '0-5' } : {}) }]
  })
  const push = connect().pushBlob(parseReference(`${host}/team/app`), source, { chunkBytes: MIB })
  await expect(push).rejects.toMatchObject({ code: 'ERR_REGISTRY_PROTOCOL' })
})

it.for([
  ['counts a byte too many', 1],
  ['counts nothing', undefined],
] as const)('goes on with a registry that %s', async ([, surplus]) => {
  const ranges: unknown[] = []
  const host = await serve(({ method, headers }) => {
    if (method === 'HEAD') return [404]
    if (method === 'PUT') return [201]
    if (method !== 'PATCH') return [202, { location: '/up' }]
    ranges.push(headers['content-range'])
    const end = Number(`${headers['content-range']}`.split('-')[1])
    const range = surplus === undefined ? {} : { range: `0-${end + surplus}` }
    return [202, { location: '/up', ...range }]
  })
  await connect().pushBlob(parseReference(`${host}/team/app`), source, { chunkBytes: 2 * MIB })
  expect(ranges).toEqual([`0-${2 * MIB - 1}`, `${2 * MIB}-${3 * MIB}`])
})

it('asks where to go on if the registry wants other bytes (416)', async () => {
  const ranges: unknown[] = []
  const host = await serve(({ method, headers }) => {
    if (method === 'HEAD') return [404]
    if (method === 'PUT') return [201]
    if (method === 'GET') return [204, { location: '/up2', range: `0-${MIB - 1}` }]
    if (method !== 'PATCH') return [202, { location: '/up' }]
    ranges.push(headers['content-range'])
    if (ranges.length === 2) return [416]
    const end = `${headers['content-range']}`.split('-')[1]
    return [202, { location: '/up', range: `0-${end}` }]
  })
  await connect().pushBlob(parseReference(`${host}/team/app`), source, { chunkBytes: 2 * MIB })
  expect(ranges).toEqual([
    `0-${2 * MIB - 1}`,
    `${2 * MIB}-${3 * MIB}`,
    `${MIB}-${3 * MIB - 1}`,
    `${3 * MIB}-${3 * MIB}`,
  ])
})

it.for(['team/base:1', 'team/base:pull repository:secret/x', '../x', `a@${digest}`])(
  'mounts from nothing that is not a repository: %s',
  async (name) => {
    const { registry, client, reference } = await start()
    const push = client.pushBlob(reference, source, { mountFrom: [name] })
    await expect(push).rejects.toMatchObject({ code: 'ERR_REGISTRY_BAD_REFERENCE' })
    expect(registry.requests).toEqual([])
  },
)

function methodsOf({ requests }: TestRegistry): string[] {
  return requests.filter(({ server }) => server === 'registry').map(({ method }) => method)
}

async function expectStored(registry: TestRegistry): Promise<void> {
  const stored = await registry.blob('team/app', digest)
  expect(stored && digestOf(stored)).toBe(digest)
}
