import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { requires, requiresProgram } from '@cromwell/test-support'
import { afterEach, beforeEach, describe, expect, it, type TestContext } from 'vitest'
import { staticCredentials } from '../auth/credentials.ts'
import type { RegistryClient } from '../client/registry-client.ts'
import { createBench } from '../client/servers.test.fixture.ts'
import { parseReference } from '../image/reference.ts'
import { openImageLayout } from '../layout/image-layout.ts'
import { pull } from '../pull/pull.ts'
import { partsOf, putAll } from '../store/content.test.fixture.ts'
import { memoryStore } from '../store/memory-store.ts'
import { makeCertificate } from '../testing/certificate.ts'
import { makeImage, makeLayer } from '../testing/index.ts'
import { startDockerRegistry } from './docker-registry.test.fixture.ts'
import { push } from './push.ts'
import { startTokenService } from './token-service.test.fixture.ts'

// What we push others pull, and what they push we pull, byte for byte, by every way into docker-registry.
const run = promisify(execFile)
const USER = { name: 'ann', password: 'open sesame' }
/** By bcrypt, the only hash that docker-registry takes. */
const HTPASSWD = 'ann:$2y$05$abcdefghijklmnopqrstuupx2xBUC4954936wVIjyyPHmUBFu0wCW\n'
const image = makeImage({ layers: [makeLayer({ a: randomBytes(50_000) }), makeLayer({ b: 'b' })] })
const { connect, close } = createBench()
const open: Array<() => Promise<void>> = []
let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cromwell-others-'))
})

afterEach(async () => {
  await close()
  for (const stop of open.splice(0).reverse()) await stop()
  await rm(directory, { recursive: true, force: true })
})

const WAYS = ['plain', 'with a password', 'over TLS of an own authority', 'with tokens'] as const

describe('docker-registry', () => {
  it.for(WAYS)('%s: between this and skopeo', { timeout: 60_000 }, async (way, context) => {
    const skopeo = requiresProgram(context, 'skopeo')
    const { client, host, login, certificates, ...tls } = await start(way, context)
    const name = `${host}/team/ours:1`
    await push(await source(), name, { client })
    const from = [`--src-tls-verify=${tls.verify}`, '--src-cert-dir', certificates]
    const to = [`--dest-tls-verify=${tls.verify}`, '--dest-cert-dir', certificates]
    const user = (side: string) => (login === undefined ? [] : [`--${side}-creds`, login])
    const copy = `dir:${directory}/copy`
    await run(skopeo, ['copy', '-q', ...from, ...user('src'), `docker://${name}`, copy])
    await expectParts((digest) => readFile(join(directory, 'copy', fileOf(digest))))
    const theirs = `docker://${host}/team/theirs:1`
    await run(skopeo, ['copy', '-q', ...to, ...user('dest'), copy, theirs])
    const layout = openImageLayout(join(directory, 'layout'))
    await pull(`${host}/team/theirs:1`, layout, { client })
    await expectParts((digest) => readFile(layout.blobPath(digest)))
    expect((await layout.verify()).problems).toEqual([])
  })

  it.for(WAYS)('%s: between this and podman', { timeout: 120_000 }, async (way, context) => {
    const podman = requiresProgram(context, 'podman')
    requires(
      context,
      'root',
      process.getuid?.() === 0,
      'podman keeps its images in a directory of its own',
    )
    const { client, host, login, certificates, verify } = await start(way, context)
    const name = `${host}/team/ours:1`
    await push(await source(), name, { client })
    const [home, state] = [join(directory, 'images'), join(directory, 'state')]
    const storage = ['--storage-driver', 'vfs', '--root', home, '--runroot', state]
    const access = [`--tls-verify=${verify}`, '--cert-dir', certificates]
    const user = login === undefined ? [] : ['--creds', login]
    const call = (...words: string[]) =>
      run(podman, [...storage, '--events-backend', 'none', ...words])
    await call('pull', '-q', ...access, ...user, name)
    const format = '{{.Digest}} {{.Id}}'
    const { stdout } = await call('image', 'inspect', '--format', format, name)
    const [config = ''] = [image.config.descriptor.digest.replace('sha256:', '')]
    expect(stdout.trim()).toBe(`${image.manifest.descriptor.digest} ${config}`)
    const theirs = `${host}/team/theirs:1`
    const digests = join(directory, 'digest')
    await call(
      'push',
      '-q',
      '--digestfile',
      digests,
      ...access,
      ...user,
      name,
      `docker://${theirs}`,
    )
    const layout = openImageLayout(join(directory, 'layout'))
    const pulled = await pull(theirs, layout, { client })
    expect(pulled.image.resolvedDigest).toBe(await readFile(digests, 'utf8'))
    expect(await readFile(layout.blobPath(image.config.descriptor.digest))).toEqual(
      image.config.bytes,
    )
    expect((await layout.verify()).problems).toEqual([])
  })
})

interface Way {
  host: string
  client: RegistryClient
  /** For the other program: `NAME:PASSWORD`. */
  login: string | undefined
  /** For the other program: where it finds the authority. */
  certificates: string
  /** For the other program: whether it is to speak TLS, and believe that authority only. */
  verify: boolean
}

async function start(way: (typeof WAYS)[number], context: TestContext): Promise<Way> {
  requiresProgram(context, 'docker-registry')
  const certificates = join(directory, 'certificates')
  await mkdir(certificates)
  const tls = way === WAYS[2] ? makeCertificate() : undefined
  if (tls) await writeFile(join(certificates, 'ca.crt'), tls.cert)
  const token = way === WAYS[3] ? await startTokenService(USER) : undefined
  if (token) open.push(token.stop)
  const registry = await startDockerRegistry({
    directory: join(directory, 'registry'),
    ...(tls === undefined ? {} : { tls }),
    ...(token === undefined ? {} : { token }),
    ...(way === WAYS[1] ? { htpasswd: HTPASSWD } : {}),
  })
  open.push(registry.stop)
  const { host } = registry
  const isGuarded = way === WAYS[1] || way === WAYS[3]
  const { name, password } = USER
  const client = connect({
    ...(tls === undefined ? {} : { ca: tls.cert }),
    ...(isGuarded ? { credentials: staticCredentials(host, name, password) } : {}),
  })
  const login = isGuarded ? `${name}:${password}` : undefined
  if (isGuarded) {
    const stranger = connect()
    await expect(stranger.head(parseReference(`${host}/team/ours:1`))).rejects.toMatchObject({
      code: 'ERR_REGISTRY_UNAUTHORIZED',
    })
  }
  return { host, client, login, certificates, verify: tls !== undefined }
}

async function source() {
  const store = memoryStore()
  await putAll(store, image, 'app')
  return { store, name: 'app' }
}

/** How a directory of skopeo's calls a blob. */
function fileOf(digest: string): string {
  return digest === image.manifest.descriptor.digest
    ? 'manifest.json'
    : digest.replace('sha256:', '')
}

async function expectParts(read: (digest: string) => Promise<Buffer>): Promise<void> {
  for (const { descriptor, bytes } of partsOf(image)) {
    expect(await read(descriptor.digest)).toEqual(bytes)
  }
}
