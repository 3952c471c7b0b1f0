import { inspect } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { type CredentialProvider, staticCredentials } from '../auth/credentials.ts'
import { LOOPBACK_CERTIFICATE } from '../http/loopback-certificate.test.fixture.ts'
import { digestOf } from '../image/digest.ts'
import { parseReference } from '../image/reference.ts'
import {
  createTestRegistry,
  makeImage,
  makeIndex,
  makeLayer,
  type TestRegistry,
  type TestRegistryOptions,
} from '../testing/index.ts'
import {
  type ClientEvent,
  createRegistryClient,
  type RegistryClient,
  type RegistryClientOptions,
} from './registry-client.ts'

const layer = makeLayer({ file: 'content' })
const image = makeImage({ layers: [layer] })
const index = makeIndex([image])
const open: Array<{ close(): Promise<void> }> = []
const users = { ann: 'pass word:ü' }

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

describe('authentication', () => {
  it('asks for nothing where nothing is asked for', async () => {
    const registry = await start()
    let asked = 0
    const client = connect({
      credentials: async () => {
        asked += 1
        return undefined
      },
    })
    await client.manifest(nameAt(registry))
    expect(asked).toBe(0)
    expect(registry.requests.every(({ headers }) => headers.authorization === undefined)).toBe(true)
  })

  it('gets a token for each repository and keeps it', async () => {
    const registry = await start({ auth: 'token' })
    registry.addImage('library/other:1', image)
    const client = connect()
    await client.manifest(nameAt(registry))
    await client.manifest(nameAt(registry))
    await client.manifest(nameAt(registry, 'library/other:1'))
    const tokens = registry.requests.filter(({ server }) => server === 'token')
    expect(tokens.map(({ path }) => new URL(path, 'http://x').searchParams.get('scope'))).toEqual([
      'repository:library/app:pull',
      'repository:library/other:pull',
    ])
    expect(tokens.every(({ headers }) => headers.authorization === undefined)).toBe(true)
  })

  it('gets one token for many questions at once', async () => {
    const registry = await start({ auth: 'token' })
    const client = connect()
    await client.head(nameAt(registry))
    registry.revokeTokens()
    registry.requests.length = 0
    await client.head(nameAt(registry))
    await Promise.all(Array.from({ length: 5 }, () => client.manifest(nameAt(registry))))
    expect(registry.requests.filter(({ server }) => server === 'token')).toHaveLength(1)
  })

  it('says of a registry that wants credentials how to log in, and what it was asked for', async () => {
    const registry = await start({ auth: 'basic', private: true, users })
    const client = connect()
    const hint = expect.stringContaining(
      `podman login ${registry.host} or docker login ${registry.host}`,
    )
    await expect(client.manifest(nameAt(registry))).rejects.toMatchObject({
      code: 'ERR_REGISTRY_UNAUTHORIZED',
      message: expect.stringContaining('cannot get the image'),
      hint,
    })
    await expect(client.hasManifest(nameAt(registry))).rejects.toMatchObject({
      code: 'ERR_REGISTRY_UNAUTHORIZED',
      message: expect.stringContaining(`cannot ask for ${registry.host}/library/app:1`),
      hint,
    })
  })

  it('logs in at the token service with name and password', async () => {
    const registry = await start({ auth: 'token', private: true, users })
    const client = connect({ credentials: staticCredentials(registry.host, 'ann', users.ann) })
    expect((await client.manifest(nameAt(registry))).descriptor.digest).toBe(
      index.index.descriptor.digest,
    )
    const sent = registry.requests.filter(({ headers }) =>
      headers.authorization?.startsWith('Basic'),
    )
    expect(sent.map(({ server }) => server)).toEqual(['token'])
  })

  it('logs in with name and password where the registry wants them itself', async () => {
    const registry = await start({ auth: 'basic', users })
    const client = connect({ credentials: staticCredentials(registry.host, 'ann', users.ann) })
    await client.ping(registry.host)
    await client.manifest(nameAt(registry))
    await client.readBlob(nameAt(registry), image.config.descriptor)
  })

  it('asks for credentials by registry and repository', async () => {
    const registry = await start({ auth: 'token' })
    const queries: unknown[] = []
    const credentials: CredentialProvider = async ({ registry: host, repository }) => {
      queries.push([host, repository])
      return undefined
    }
    await connect({ credentials }).head(nameAt(registry))
    expect(queries).toEqual([[registry.host, 'library/app']])
  })

  it.each(['token', 'basic'] as const)(
    'says that it needs credentials, and which were refused (%s)',
    async (auth) => {
      const registry = await start({ auth, private: true, users })
      const anonymous = await failureOf(connect().manifest(nameAt(registry)))
      expect(anonymous).toMatchObject({
        code: 'ERR_REGISTRY_UNAUTHORIZED',
        status: 401,
        message: expect.stringContaining(`${registry.host}/library/app:1`),
        hint: expect.stringContaining(`docker login ${registry.host}`),
      })
      const credentials = staticCredentials(registry.host, 'ann', 'wrong-password')
      const refused = await failureOf(connect({ credentials }).manifest(nameAt(registry)))
      expect(refused).toMatchObject({
        code: 'ERR_REGISTRY_UNAUTHORIZED',
        message: expect.stringContaining('refuses the stored credentials'),
        hint: expect.stringContaining('log in again'),
      })
      expectNoSecret(refused, [
        'wrong-password',
        Buffer.from('ann:wrong-password').toString('base64'),
      ])
    },
  )

  it('renews a token that was revoked', async () => {
    const registry = await start({ auth: 'token' })
    const client = connect()
    await client.head(nameAt(registry))
    registry.revokeTokens()
    await client.head(nameAt(registry))
    expect(registry.requests.filter(({ server }) => server === 'token')).toHaveLength(2)
  })

  it('exchanges an identity token for a token', async () => {
    const registry = await start({ auth: 'token' })
    const credentials: CredentialProvider = async () => ({
      type: 'identity-token',
      token: 'long-lived',
    })
    const body = JSON.stringify({ access_token: 'nonsense' })
    registry.addFault({ on: 'token', type: 'body', body })
    await failureOf(connect({ credentials }).head(nameAt(registry)))
    expect(registry.requests.find(({ server }) => server === 'token')).toMatchObject({
      method: 'POST',
      path: '/token',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })
  })

  it.each([
    ['{}', 'no usable token'],
    ['[]', 'no usable token'],
    ['{"token": "a\\r\\nX-Evil: 1"}', 'no usable token'],
    ['<html>', 'not JSON'],
  ])('does not use the token answer %s', async (body, why) => {
    const registry = await start({ auth: 'token' })
    registry.addFault({ on: 'token', type: 'body', body })
    expect(await failureOf(connect().head(nameAt(registry)))).toMatchObject({
      code: 'ERR_REGISTRY_PROTOCOL',
      message: expect.stringContaining(why),
    })
  })

  it('tries again when the token service fails for a moment', async () => {
    const registry = await start({ auth: 'token' })
    registry.addFault({ on: 'token', type: 'status', status: 503 })
    registry.addFault({ on: 'token', type: 'reset' })
    await connect().head(nameAt(registry))
  })

  it.each([
    ['http://host.example/token', 'it is not https'],
    ['https://169.254.169.254/token', 'link-local'],
    ['file:///etc/passwd', 'is not HTTP'],
    ['https://user:pass@host.example/token', 'it holds credentials'],
    ['token', 'it is not a URL'],
  ])('does not send credentials to %s', async (realm, why) => {
    const registry = await start()
    const header = `Bearer realm="${realm}",service="x"`
    const client = connect({ credentials: staticCredentials(registry.host, 'ann', 'secret') })
    const server = await challenging(header)
    const failure = await failureOf(client.head(parseReference(`${server}/a`)))
    expect(failure).toMatchObject({
      code: 'ERR_REGISTRY_UNSAFE_REALM',
      message: expect.stringContaining(why),
    })
    expectNoSecret(failure, ['secret', 'user:pass'])
  })

  it('picks what it knows out of several challenges', async () => {
    const server = await challenging('Negotiate, Digest realm="x", nonce="a,b", Basic realm="y"')
    const asked: string[] = []
    const credentials: CredentialProvider = async ({ registry }) => {
      asked.push(registry)
      return undefined
    }
    expect(await failureOf(connect({ credentials }).ping(server))).toMatchObject({ status: 401 })
    expect(asked).toEqual([server])
  })

  it('shows no secret, even if the registry repeats what it was sent', async () => {
    const registry = await start({ auth: 'token', users })
    const secret = 'very-secret-password'
    const basic = Buffer.from(`ann:${secret}`).toString('base64')
    const message = `you sent ${basic} and ${secret}\u001b[31m`
    registry.addFault({ on: 'token', type: 'status', status: 403, message })
    const credentials = staticCredentials(registry.host, 'ann', secret)
    const failure = await failureOf(connect({ credentials }).head(nameAt(registry)))
    expect(failure).toMatchObject({ code: 'ERR_REGISTRY_UNAUTHORIZED' })
    expectNoSecret(failure, [secret, basic, '\u001b'])
  })
})

describe('manifests', () => {
  it('are found by tag and by digest, with their bytes', async () => {
    const registry = await start()
    const client = connect()
    const byTag = await client.manifest(nameAt(registry))
    const { digest } = index.index.descriptor
    const byDigest = await client.manifest(nameAt(registry, `library/app@${digest}`))
    expect(byDigest).toEqual(byTag)
    expect(byTag).toMatchObject({ descriptor: index.index.descriptor, document: { kind: 'index' } })
    expect(index.index.bytes.equals(byTag.bytes)).toBe(true)
    expect(await client.head(nameAt(registry))).toEqual(index.index.descriptor)
  })

  it('that do not exist are reported with the name, the host and the words of the registry', async () => {
    const registry = await start({ auth: 'token' })
    const name = `${registry.host}/library/app:none`
    expect(await failureOf(connect().manifest(parseReference(name)))).toMatchObject({
      code: 'ERR_REGISTRY_NOT_FOUND',
      message: `cannot get the image ${name}: not found on ${registry.host} (manifest unknown)`,
      reference: name,
      host: registry.host,
      method: 'GET',
      status: 404,
      url: `http://${registry.host}/v2/library/app/manifests/none`,
      errors: [{ code: 'MANIFEST_UNKNOWN', message: 'manifest unknown' }],
      hint: expect.any(String),
    })
  })

  it('are refused beyond 4 MiB', async () => {
    const registry = await start()
    registry.addFault({ on: 'manifest', type: 'resize', bytes: 5 * 1024 * 1024 })
    expect(await failureOf(connect().manifest(nameAt(registry)))).toMatchObject({
      code: 'ERR_REGISTRY_TOO_LARGE',
    })
  })

  it('must be what the caller expects', async () => {
    const registry = await start()
    const expected = { ...index.index.descriptor, size: 1 }
    expect(await failureOf(connect().manifest(nameAt(registry), { expected }))).toMatchObject({
      code: 'ERR_REGISTRY_SIZE_MISMATCH',
    })
  })

  it.each([
    [403, 'ERR_REGISTRY_DENIED', 'denies access'],
    [418, 'ERR_REGISTRY_PROTOCOL', 'status 418'],
    [501, 'ERR_REGISTRY_SERVER', 'status 501'],
  ])('are not asked for again after status %i', async (status, code, why) => {
    const registry = await start()
    registry.addFault({ on: 'manifest', type: 'status', status, times: 9 })
    const failure = await failureOf(connect().manifest(nameAt(registry)))
    expect(failure).toMatchObject({ code, status, message: expect.stringContaining(why) })
    expect(registry.requests.filter((request) => request.status === status)).toHaveLength(1)
  })

  it('are asked for again while the registry fails, and no longer than the policy says', async () => {
    const registry = await start()
    registry.addFault({ on: 'manifest', type: 'status', status: 500 })
    registry.addFault({ on: 'manifest', type: 'reset' })
    const events: ClientEvent[] = []
    await connect({ onEvent: (event) => events.push(event) }).head(nameAt(registry))
    expect(events.filter(({ type }) => type === 'retry')).toHaveLength(2)
    registry.addFault({ on: 'manifest', type: 'status', status: 502, times: 9 })
    const retry = { attempts: 2, baseMs: 1 }
    expect(await failureOf(connect({ retry }).head(nameAt(registry)))).toMatchObject({
      code: 'ERR_REGISTRY_SERVER',
      status: 502,
    })
  })
})

describe('blobs', () => {
  it('are read whole and verified', async () => {
    const registry = await start()
    const { config } = image
    const bytes = await connect().readBlob(nameAt(registry), config.descriptor)
    expect(config.bytes.equals(bytes)).toBe(true)
  })

  it('are opened at an offset', async () => {
    const registry = await start({ redirectBlobs: true })
    const client = connect()
    const answer = await client.openBlob(nameAt(registry), layer, { offset: 10 })
    expect(answer.offset).toBe(10)
    let received = 0
    for await (const chunk of answer.body) received += chunk.length
    expect(received).toBe(layer.size - 10)
  })

  it('are not sought at the place that a token must not go', async () => {
    const registry = await start({ auth: 'token', redirectBlobs: true })
    ;(await connect().openBlob(nameAt(registry), layer)).cancel()
    const storage = registry.requests.filter(({ server }) => server === 'storage')
    expect(storage.map(({ status, headers }) => [status, headers.authorization])).toEqual([
      [200, undefined],
    ])
  })

  it('that do not exist are reported', async () => {
    const registry = await start()
    const none = { ...layer, digest: digestOf(Buffer.from('none')) }
    expect(await failureOf(connect().readBlob(nameAt(registry), none))).toMatchObject({
      code: 'ERR_REGISTRY_NOT_FOUND',
      message: expect.stringContaining(none.digest),
    })
  })

  it('beyond 4 MiB are not read into memory', async () => {
    const registry = await start()
    const large = { ...layer, size: 5 * 1024 * 1024 }
    expect(await failureOf(connect().readBlob(nameAt(registry), large))).toMatchObject({
      code: 'ERR_REGISTRY_TOO_LARGE',
    })
  })
})

describe('createRegistryClient', () => {
  it('speaks TLS with a loopback registry that has it', async () => {
    const registry = await start({ tls: LOOPBACK_CERTIFICATE })
    await connect({ ca: LOOPBACK_CERTIFICATE.cert }).ping(registry.host)
    expect(await failureOf(connect().ping(registry.host))).toMatchObject({
      code: 'ERR_REGISTRY_TLS',
      hint: expect.stringContaining('ca'),
    })
  })

  it('never speaks plain HTTP elsewhere, unless told to', async () => {
    const events: ClientEvent[] = []
    const unreachable = await failureOf(connect().ping('registry.invalid'))
    expect(unreachable).toMatchObject({ url: 'https://registry.invalid/v2/' })
    const plain = connect({ plainHttp: ['registry.invalid'], onEvent: (e) => events.push(e) })
    expect(await failureOf(plain.ping('registry.invalid'))).toMatchObject({
      code: 'ERR_REGISTRY_NAME_RESOLUTION',
      url: 'http://registry.invalid/v2/',
    })
  })

  it('reports what it asks, without secrets', async () => {
    const registry = await start({ redirectBlobs: true })
    const events: ClientEvent[] = []
    const client = connect({ onEvent: (event) => events.push(event) })
    ;(await client.openBlob(nameAt(registry), layer)).cancel()
    expect(events).toContainEqual({
      type: 'request',
      method: 'GET',
      url: `http://${registry.host}/v2/library/app/blobs/${layer.digest}`,
      status: 200,
      durationMs: expect.any(Number),
    })
  })

  it('takes one signal for any number of calls, and lets Node warn of nothing', async () => {
    const reference = nameAt(await start())
    const client = connect()
    const warnings: Error[] = []
    const onWarning = (warning: Error) => warnings.push(warning)
    process.on('warning', onWarning)
    try {
      const { signal } = new AbortController()
      const calls = Array.from({ length: 25 }, () => client.manifest(reference, { signal }))
      await Promise.all(calls)
      await new Promise((resolve) => setImmediate(resolve)) // warnings come in a later turn
    } finally {
      process.off('warning', onWarning)
    }
    expect(warnings).toEqual([])
  })

  it('is of no use once it is closed', async () => {
    const registry = await start()
    const client = connect()
    await client.ping(registry.host)
    await client[Symbol.asyncDispose]()
    expect(await failureOf(client.ping(registry.host))).toMatchObject({
      code: 'ERR_REGISTRY_CLOSED',
    })
  })

  it('refuses a name that is no registry', async () => {
    expect(await failureOf(connect().ping('not a host'))).toMatchObject({
      code: 'ERR_REGISTRY_BAD_REFERENCE',
    })
  })
})

async function start(options: TestRegistryOptions = {}): Promise<TestRegistry> {
  const registry = await createTestRegistry(options)
  open.push(registry)
  registry.addImage('library/app:1', index)
  return registry
}

/** A server that answers everything with this challenge. */
async function challenging(header: string): Promise<string> {
  const { createServer } = await import('node:http')
  const server = createServer((_, response) => {
    response.writeHead(401, { 'www-authenticate': header }).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push({
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  })
  const address = server.address()
  return `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
}

function connect(options: RegistryClientOptions = {}): RegistryClient {
  const client = createRegistryClient({ retry: { baseMs: 1 }, ...options })
  open.push(client)
  return client
}

function nameAt(registry: TestRegistry, name = 'library/app:1') {
  return parseReference(`${registry.host}/${name}`)
}

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => new Error('it did not fail'),
    (error) => error,
  )
}

function expectNoSecret(error: unknown, secrets: string[]): void {
  const shown = [String(error), JSON.stringify(error), inspect(error, { depth: 9 })]
  for (const text of shown) for (const secret of secrets) expect(text).not.toContain(secret)
}
