import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type CredentialProvider, staticCredentials } from '../auth/credentials.ts'
import { digestOf } from '../image/digest.ts'
import { parseReference, withDigest } from '../image/reference.ts'
import { openImageLayout } from '../layout/image-layout.ts'
import { pull } from '../pull/pull.ts'
import {
  createTestRegistry,
  makeImage,
  makeIndex,
  makeLayer,
  type TestRegistry,
  type TestRegistryOptions,
} from '../testing/index.ts'
import { bytesSource } from './blob-source.ts'
import {
  type ClientEvent,
  createRegistryClient,
  type RegistryClient,
  type RegistryClientOptions,
} from './registry-client.ts'

const layer = makeLayer({ file: 'content' })
const image = makeImage({ layers: [layer] })
const index = makeIndex([image])
const open: Array<{ close(): Promise<unknown> }> = []
let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cromwell-endpoints-'))
  open.push({ close: () => rm(directory, { recursive: true, force: true }) })
})

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

const NAME = 'registry.test/library/app:1'

describe('mirrors of registries.conf', () => {
  it('serve a pull, whose registry nobody speaks to', async () => {
    const mirror = await start({ 'mirrored/app:1': index })
    const conf = await write(`
      [[registry]]
      prefix = "registry.test/library"
      location = "registry.test/library"
      [[registry.mirror]]
      location = "${mirror.host}/mirrored"`)
    const client = connect({ registriesConf: { files: [conf] } })
    const layout = openImageLayout(join(directory, 'layout'))
    const { image: pulled } = await pull(NAME, layout, { client })
    expect(pulled.name).toBe(NAME)
    expect(pulled.resolvedDigest).toBe(index.index.descriptor.digest)
    expect((await layout.find(parseReference(NAME)))?.layers).toHaveLength(1)
  })

  it.each([
    ['does not have it', { type: 'status', status: 404 }],
    ['fails', { type: 'status', status: 503 }],
    ['limits', { type: 'status', status: 429, retryAfter: '1' }],
    ['wants credentials', { type: 'status', status: 401 }],
    ['denies', { type: 'status', status: 403 }],
    ['hangs up', { type: 'reset' }],
  ] as const)('are passed over when one %s', async (_, fault) => {
    const [mirror, origin] = await Promise.all([start(), start()])
    mirror.addFault({ on: 'manifest', ...fault })
    const events: ClientEvent[] = []
    const client = connect({ ...mirrored(origin, mirror.host), onEvent: (e) => events.push(e) })
    const found = await client.manifest(nameAt(origin))
    expect(found.descriptor.digest).toBe(index.index.descriptor.digest)
    expect(events).toContainEqual({
      type: 'mirror',
      url: `https://${mirror.host}/v2/`,
      next: `https://${origin.host}/v2/`,
      reason: expect.stringContaining(mirror.host),
    })
  })

  it('are passed over when one cannot be reached, or has another certificate', async () => {
    const [gone, secure, origin] = await Promise.all([
      start(),
      start(
        {},
        {
          tls: (await import('../http/loopback-certificate.test.fixture.ts')).LOOPBACK_CERTIFICATE,
        },
      ),
      start(),
    ])
    await gone.close()
    const client = connect(mirrored(origin, 'mirror.invalid', gone.host, secure.host))
    await client.manifest(nameAt(origin))
  })

  it('are all named, with what they said, if nobody helps', async () => {
    const [first, second, origin] = await Promise.all([start({}), start({}), start({})])
    second.addFault({ on: 'manifest', type: 'status', status: 403 })
    const failure = await failureOf(
      connect(mirrored(origin, first.host, second.host)).manifest(nameAt(origin)),
    )
    expect(failure).toMatchObject({
      code: 'ERR_REGISTRY_NOT_FOUND',
      host: origin.host,
      status: 404,
      endpoints: [
        { url: `https://${first.host}/v2/`, code: 'ERR_REGISTRY_NOT_FOUND' },
        { url: `https://${second.host}/v2/`, code: 'ERR_REGISTRY_DENIED' },
      ],
    })
    for (const { host } of [first, second, origin]) expect(String(failure)).toContain(host)
  })

  it('are not asked again while they are down', async () => {
    const [mirror, origin] = await Promise.all([start(), start()])
    mirror.addFault({ on: 'manifest', type: 'status', status: 503 })
    const client = connect(mirrored(origin, mirror.host))
    await client.manifest(nameAt(origin))
    await client.manifest(nameAt(origin))
    expect(manifestsOf(mirror)).toHaveLength(1)
    expect(manifestsOf(origin)).toHaveLength(2)
  })

  it('for digests only do not say what a tag stands for', async () => {
    const [mirror, origin] = await Promise.all([start(), start()])
    const client = connect(mirroredBy(origin, { location: mirror.host, use: 'digest-only' }))
    await client.head(nameAt(origin))
    expect(manifestsOf(mirror)).toEqual([])
    await client.manifest(withDigest(nameAt(origin), image.manifest.descriptor.digest))
    await client.readBlob(nameAt(origin), image.config.descriptor)
    expect(manifestsOf(mirror)).toHaveLength(1)
    expect(blobsOf(mirror)).toHaveLength(1)
    expect(blobsOf(origin)).toEqual([])
  })

  it('for tags only are not bothered with what was named by its digest', async () => {
    const [mirror, origin] = await Promise.all([start(), start()])
    const client = connect(mirroredBy(origin, { location: mirror.host, use: 'tag-only' }))
    const { digest } = index.index.descriptor
    const byDigest = parseReference(`${origin.host}/library/app@${digest}`)
    await client.manifest(byDigest)
    await client.readBlob(byDigest, image.config.descriptor)
    expect(manifestsOf(mirror)).toEqual([])
    await client.manifest(nameAt(origin))
    await client.manifest(withDigest(nameAt(origin), image.manifest.descriptor.digest))
    await client.readBlob(nameAt(origin), image.config.descriptor)
    expect(manifestsOf(mirror)).toHaveLength(2)
    expect(blobsOf(mirror)).toHaveLength(1)
  })

  it('are given their own credentials and never those of the registry', async () => {
    const users = { ann: 'mirror-password' }
    const [mirror, origin] = await Promise.all([start({}, { auth: 'basic', users }), start()])
    mirror.addImage('library/app:1', index)
    const asked: string[] = []
    const credentials: CredentialProvider = async (query) => {
      asked.push(query.registry)
      return staticCredentials(mirror.host, 'ann', users.ann)(query)
    }
    await connect({ ...mirrored(origin, mirror.host), credentials }).manifest(nameAt(origin))
    expect(new Set(asked)).toEqual(new Set([mirror.host]))
    expect(manifestsOf(origin)).toEqual([])
  })

  it('cannot deliver something else under a digest', async () => {
    const [mirror, origin] = await Promise.all([start(), start()])
    mirror.addFault({ on: 'blob', type: 'corrupt', times: 9 })
    const failure = await failureOf(
      connect(mirrored(origin, mirror.host)).readBlob(nameAt(origin), image.config.descriptor),
    )
    expect(failure).toMatchObject({ code: 'ERR_REGISTRY_DIGEST_MISMATCH' })
  })

  it('are not written to, and not asked what is there already', async () => {
    const [mirror, origin] = await Promise.all([start(), start({})])
    const client = connect(mirrored(origin, mirror.host))
    const reference = parseReference(`${origin.host}/library/app:1`)
    expect(await client.pushBlob(reference, bytesSource(layer.blob))).toBe('uploaded')
    expect(await client.hasBlob(reference, layer)).toBe(true)
    expect(mirror.requests.filter(({ path }) => path !== '/v2/')).toEqual([])
  })

  it('have the repository under another name, also in the scope of a token', async () => {
    const mirror = await start({}, { auth: 'token' })
    mirror.addImage('cache/team/app:1', index)
    const hosts = [
      { prefix: 'registry.test/library', mirrors: [{ location: `${mirror.host}/cache/team` }] },
    ]
    await connect({ hosts }).manifest(parseReference(NAME))
    const token = mirror.requests.find(({ server }) => server === 'token')
    expect(new URL(token?.path ?? '', 'http://x').searchParams.get('scope')).toBe(
      'repository:cache/team/app:pull',
    )
  })
})

describe('a rule', () => {
  it('that blocks is final, and says where it stands', async () => {
    const origin = await start()
    const conf = await write(`[[registry]]\nlocation = "${origin.host}/library"\nblocked = true\n`)
    const client = connect({ registriesConf: { files: [conf] } })
    for (const call of [
      client.manifest(nameAt(origin)),
      client.pushBlob(nameAt(origin), bytesSource(Buffer.from('x'))),
    ]) {
      expect(await failureOf(call)).toMatchObject({
        code: 'ERR_REGISTRY_BLOCKED',
        message: expect.stringContaining(`${conf}, line 1`),
      })
    }
    await client.ping(origin.host)
    expect(origin.requests.map(({ path }) => path)).not.toContainEqual(
      expect.stringContaining('app'),
    )
  })

  it('that blocks one tag blocks no other', async () => {
    const origin = await start()
    origin.addImage('library/app:2', index)
    const hosts = [{ prefix: `${origin.host}/library/app:1`, blocked: true }]
    const client = connect({ hosts })
    expect(await failureOf(client.manifest(nameAt(origin)))).toMatchObject({
      code: 'ERR_REGISTRY_BLOCKED',
    })
    await client.manifest(parseReference(`${origin.host}/library/app:2`))
  })

  it('that moves a registry moves what is read, and not what is written', async () => {
    const [old, moved] = await Promise.all([start({}), start({ 'new/app:1': index })])
    const hosts = [{ prefix: `${old.host}/library`, location: `${moved.host}/new` }]
    const client = connect({ hosts })
    await client.manifest(parseReference(`${old.host}/library/app:1`))
    const source = bytesSource(Buffer.from('x'))
    await client.pushBlob(parseReference(`${old.host}/library/app:1`), source)
    expect(await old.blob('library/app', digestOf(Buffer.from('x')))).toBeDefined()
  })

  it('that calls a host insecure lets it have any certificate, or none', async () => {
    const { LOOPBACK_CERTIFICATE } = await import('../http/loopback-certificate.test.fixture.ts')
    const [secure, plain] = await Promise.all([
      start({ 'library/app:1': index }, { tls: LOOPBACK_CERTIFICATE }),
      start(),
    ])
    for (const { host } of [secure, plain]) {
      const port = host.split(':')[1]
      const name = `insecure.test:${port}`
      const client = connect({
        hosts: [{ prefix: name, insecure: true }],
        resolveName: (_, __, callback) => callback(null, [{ address: '127.0.0.1', family: 4 }]),
      })
      await client.manifest(parseReference(`${name}/library/app:1`))
    }
    const strict = connect({
      hosts: [{ prefix: 'insecure.test', insecure: true }],
      resolveName: (_, __, callback) => callback(null, [{ address: '127.0.0.1', family: 4 }]),
    })
    const other = parseReference(`other.test:${plain.host.split(':')[1]}/library/app:1`)
    expect(await failureOf(strict.manifest(other))).toMatchObject({ code: 'ERR_REGISTRY_TLS' })
  })
})

describe('hosts.toml', () => {
  it('has mirrors that are told by ns which registry is meant, and headers for them alone', async () => {
    const [mirror, origin] = await Promise.all([start({}), start()])
    const hostsDir = await hostsToml(`
      server = "${origin.origin}"
      [host."${mirror.origin}"]
      capabilities = ["pull", "resolve"]
      [host."${mirror.origin}".header]
      x-key = "mirror-secret"`)
    const client = connect({ hostsDirs: [hostsDir] })
    await client.manifest(parseReference(NAME))
    const [asked] = manifestsOf(mirror)
    expect(asked).toMatchObject({
      path: '/v2/library/app/manifests/1?ns=registry.test',
      headers: { 'x-key': 'mirror-secret' },
    })
    expect(JSON.stringify(origin.requests)).not.toContain('mirror-secret')
    expect(manifestsOf(origin)[0]?.path).toBe('/v2/library/app/manifests/1?ns=registry.test')
  })

  it('has hosts that only pull, and one that is pushed to', async () => {
    const [puller, pusher] = await Promise.all([start(), start()])
    const hostsDir = await hostsToml(`
      server = "${pusher.origin}"
      capabilities = ["resolve", "push"]
      [host."${puller.origin}"]
      capabilities = ["pull"]`)
    const client = connect({ hostsDirs: [hostsDir] })
    const reference = parseReference(NAME)
    await client.manifest(reference)
    expect([manifestsOf(puller).length, manifestsOf(pusher).length]).toEqual([0, 1])
    await client.readBlob(reference, image.config.descriptor)
    expect([blobsOf(puller).length, blobsOf(pusher).length]).toEqual([1, 0])
    await client.pushBlob(reference, bytesSource(Buffer.from('x')))
    expect(await pusher.blob('library/app', digestOf(Buffer.from('x')))).toBeDefined()
  })

  it('whose hosts may not do what is wanted says so', async () => {
    const mirror = await start()
    const hostsDir = await hostsToml(`server = "${mirror.origin}"\ncapabilities = ["pull"]\n`)
    expect(
      await failureOf(connect({ hostsDirs: [hostsDir] }).manifest(parseReference(NAME))),
    ).toMatchObject({ code: 'ERR_REGISTRY_HOSTS', hint: expect.stringContaining('"resolve"') })
  })
})

describe('a registry that is reached by name', () => {
  it.each([
    ['10.1.2.3', 'private'],
    ['169.254.169.254', 'link-local'],
    ['168.63.129.16', 'metadata'],
  ])('has no token service at %s', async (address, why) => {
    const asked: string[] = []
    const registry = await start({}, { auth: 'token' })
    registry.addFault({
      on: 'manifest',
      type: 'status',
      status: 401,
      times: 9,
    })
    const client = connect({
      resolveName: (host, _, callback) => {
        asked.push(host)
        callback(null, [{ address: host === 'auth.test' ? address : '127.0.0.1', family: 4 }])
      },
    })
    const server = await challenging('Bearer realm="https://auth.test/token",service="x"')
    const failure = await failureOf(client.head(parseReference(`${server}/library/app:1`)))
    expect(asked).toEqual(['auth.test'])
    expect(failure).toMatchObject({
      code: 'ERR_REGISTRY_UNSAFE_REALM',
      message: expect.stringContaining(why),
    })
  })

  it('does not have uploads, nor foreign layers, sent to inner addresses by name', async () => {
    const registry = await start()
    const resolveName: RegistryClientOptions['resolveName'] = (_, __, callback) =>
      callback(null, [{ address: '10.1.2.3', family: 4 }])
    const client = connect({ resolveName })
    const location = 'https://inner.test/upload'
    registry.addFault({
      on: 'upload',
      method: 'POST',
      type: 'header',
      name: 'location',
      value: location,
      times: 9,
    })
    const pushed = await failureOf(client.pushBlob(nameAt(registry), bytesSource(Buffer.from('x'))))
    expect(pushed).toMatchObject({
      code: 'ERR_REGISTRY_UNSAFE_REDIRECT',
      message: expect.stringContaining('private'),
    })
    const foreign = {
      mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
      digest: digestOf(Buffer.from('foreign')),
      size: 7,
      urls: ['https://inner.test/layer'],
    }
    const fetched = await failureOf(client.openBlob(nameAt(registry), foreign))
    expect(fetched).toMatchObject({
      code: 'ERR_REGISTRY_UNSAFE_REDIRECT',
      message: expect.stringContaining('private'),
    })
  })
})

describe('concurrency', () => {
  it('of blobs is no more than what is allowed with a host', async () => {
    const registry = await start()
    registry.addFault({ on: 'blob', type: 'drip', bytes: 1, everyMs: 1, times: 99 })
    const client = connect({ concurrency: { perHost: 1 } })
    const first = await client.openBlob(nameAt(registry), image.config.descriptor)
    let began = false
    const second = client.openBlob(nameAt(registry), image.config.descriptor).then((answer) => {
      began = true
      answer.cancel()
    })
    await client.head(nameAt(registry))
    expect(began).toBe(false)
    for await (const _ of first.body);
    await second
  })
})

type Images = Record<string, typeof index>

async function start(images?: Images, options: TestRegistryOptions = {}): Promise<TestRegistry> {
  const registry = await createTestRegistry(options)
  open.push(registry)
  for (const [name, each] of Object.entries(images ?? { 'library/app:1': index })) {
    registry.addImage(name, each)
  }
  return registry
}

function connect(options: RegistryClientOptions = {}): RegistryClient {
  const client = createRegistryClient({ retry: { attempts: 1 }, ...options })
  open.push(client)
  return client
}

/** Options by which a registry has mirrors. */
function mirrored(origin: TestRegistry, ...locations: string[]): RegistryClientOptions {
  return { hosts: [{ prefix: origin.host, mirrors: locations.map((location) => ({ location })) }] }
}

function mirroredBy(
  origin: TestRegistry,
  mirror: { location: string; use: 'digest-only' | 'tag-only' },
): RegistryClientOptions {
  return { hosts: [{ prefix: origin.host, mirrors: [mirror] }] }
}

function nameAt(registry: TestRegistry) {
  return parseReference(`${registry.host}/library/app:1`)
}

function manifestsOf({ requests }: TestRegistry) {
  return requests.filter(({ path }) => path.includes('/manifests/'))
}

function blobsOf({ requests }: TestRegistry) {
  return requests.filter(({ path }) => path.includes('/blobs/'))
}

async function write(text: string): Promise<string> {
  const path = join(directory, 'registries.conf')
  await writeFile(path, text)
  return path
}

/** A directory in which registry.test has a hosts.toml. */
async function hostsToml(text: string): Promise<string> {
  const { mkdir } = await import('node:fs/promises')
  await mkdir(join(directory, 'registry.test'))
  await writeFile(join(directory, 'registry.test', 'hosts.toml'), text)
  return directory
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
        server.close(resolve)
        server.closeAllConnections()
      }),
  })
  const address = server.address()
  return `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
}

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => new Error('it did not fail'),
    (error) => error,
  )
}
