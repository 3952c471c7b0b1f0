import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { requiresProgram } from '@cromwell/test-support'
import { afterEach, beforeEach, describe, expect, it, type TestContext } from 'vitest'
import { staticCredentials } from '../auth/credentials.ts'
import { bytesSource } from '../client/blob-source.ts'
import { createBench, listOf } from '../client/servers.test.fixture.ts'
import { digestOf } from '../image/digest.ts'
import { parseReference, repositoryName } from '../image/reference.ts'
import { memoryStore } from '../store/memory-store.ts'
import { makeCertificate } from '../testing/certificate.ts'
import { makeImage, makeLayer } from '../testing/index.ts'
import { type DockerRegistryOptions, startDockerRegistry } from './docker-registry.test.fixture.ts'
import { push } from './push.ts'
import { startTokenService } from './token-service.test.fixture.ts'

// The reference implementation behind passwords, tokens, TLS and bad connections; skopeo reads back.
const run = promisify(execFile)
const PASSWORD = 'open sesame'
/** By bcrypt, the only hash that docker-registry takes. */
const HTPASSWD = 'ann:$2y$05$abcdefghijklmnopqrstuupx2xBUC4954936wVIjyyPHmUBFu0wCW\n'
const image = makeImage({ layers: [makeLayer({ file: randomBytes(2_000_000) })] })
const { connect: connectClient, close } = createBench()
const open: Array<() => Promise<void>> = []
let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cromwell-guarded-'))
})

afterEach(async () => {
  await close()
  for (const stop of open.splice(0).reverse()) await stop()
  await rm(directory, { recursive: true, force: true })
})

describe('docker-registry', () => {
  it('takes what is pushed with a password, over TLS of an own authority', async (context) => {
    const skopeo = requiresProgram(context, 'skopeo')
    const tls = makeCertificate()
    const host = await start(context, { htpasswd: HTPASSWD, tls })
    const name = `${host}/team/app:1`
    await expect(push(await source(), name, { client: connectClient() })).rejects.toMatchObject({
      code: 'ERR_REGISTRY_TLS',
    })
    const stranger = connectClient({ ca: tls.cert })
    await expect(push(await source(), name, { client: stranger })).rejects.toMatchObject({
      code: 'ERR_REGISTRY_UNAUTHORIZED',
    })
    const client = connectClient({
      ca: tls.cert,
      credentials: staticCredentials(host, 'ann', PASSWORD),
    })
    const { descriptor } = await push(await source(), name, { client })
    const { stdout } = await run(skopeo, [
      'inspect',
      ...['--tls-verify=false', '--creds', `ann:${PASSWORD}`, '--format', '{{.Digest}}'],
      `docker://${name}`,
    ])
    expect(stdout.trim()).toBe(descriptor.digest)
  })

  it('takes what is pushed with tokens: one to look, and one for all that is sent', async (context) => {
    const service = await startTokenService({ name: 'ann', password: PASSWORD })
    open.push(service.stop)
    const host = await start(context, { token: service, deletion: true })
    const client = connectClient({ credentials: staticCredentials(host, 'ann', PASSWORD) })
    await push(await source(), `${host}/team/base:1`, { client })
    expect(service.asked).toEqual([
      ['repository:team/base:pull'],
      ['repository:team/base:pull,push'],
    ])
    const copy = parseReference(`${host}/team/copy:1`)
    const { transferred } = await push(await source(), copy, { client, mountFrom: ['team/base'] })
    expect(transferred.mounted.blobs).toBe(2)
    expect((await listOf(client.catalog(host))).sort()).toEqual(['team/base', 'team/copy'])
    await client.deleteTag(copy)
    expect(await listOf(client.tags(copy))).toEqual([])
  })

  it('takes a blob whose source the token service hides', async (context) => {
    const service = await startTokenService({ name: 'ann', password: PASSWORD }, ['team/base'])
    open.push(service.stop)
    const host = await start(context, { token: service })
    const client = connectClient({ credentials: staticCredentials(host, 'ann', PASSWORD) })
    const name = `${host}/team/copy:1`
    const { transferred } = await push(await source(), name, { client, mountFrom: ['team/base'] })
    expect(transferred.stored.blobs).toBe(2)
  })

  it.for([
    ['a whole', {}],
    ['chunks', { chunkBytes: 400_000 }],
  ] as const)('takes %s though the connection breaks', async ([, options], context) => {
    const host = await start(context, {})
    const port = Number(host.split(':')[1])
    const through = await cuttingProxy(port, 1_000_000)
    const client = connectClient()
    const reference = parseReference(`${through}/team/app:1`)
    const bytes = randomBytes(1_800_000)
    const blob = bytesSource(bytes)
    const retries: number[] = []
    const onRetry = () => retries.push(1)
    expect(await client.pushBlob(reference, blob, { ...options, onRetry })).toBe('uploaded')
    expect(retries.length).toBeGreaterThan(0)
    const direct = parseReference(
      `${host}/${repositoryName(reference).split('/').slice(1).join('/')}`,
    )
    expect(digestOf(await client.readBlob(direct, blob.descriptor))).toBe(digestOf(bytes))
  })
})

async function start(
  context: TestContext,
  options: Omit<DockerRegistryOptions, 'directory'>,
): Promise<string> {
  requiresProgram(context, 'docker-registry')
  const server = await startDockerRegistry({ directory: join(directory, 'registry'), ...options })
  open.push(server.stop)
  return server.host
}

async function source() {
  const store = memoryStore()
  for (const bytes of [image.config.bytes, ...image.layers.map(({ blob }) => blob)]) {
    await store.put(bytesSource(bytes))
  }
  await store.put(bytesSource(image.manifest.bytes, image.manifest.descriptor))
  return { store, name: image.manifest.descriptor.digest }
}

/** A way to a port on which the connection is cut, once, that carries the so-and-so-manieth byte. */
async function cuttingProxy(port: number, afterBytes: number): Promise<string> {
  let isCut = false
  let carried = 0
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1')
    client.on('data', (chunk) => {
      carried += chunk.length
      if (carried < afterBytes || isCut) return
      isCut = true
      client.destroy()
      upstream.destroy()
    })
    client.pipe(upstream).pipe(client)
    client.on('error', () => upstream.destroy()).on('close', () => upstream.destroy())
    upstream.on('error', () => client.destroy()).on('close', () => client.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push(async () => void server.close())
  // A server that listens on TCP has an address of this form.
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}
