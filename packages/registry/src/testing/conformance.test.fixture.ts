import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { type DigestAlgorithm, digestOf } from '../image/digest.ts'
import { MEDIA_TYPES } from '../image/media-types.ts'

/** An answer, read to its end. */
export interface Reply {
  status: number
  headers: Headers
  body: Buffer
}

/** What a request carries. */
export interface Request {
  headers?: Record<string, string>
  body?: Uint8Array | string
}

/** Speaks to one repository of a registry, and knows nothing of what is on the other side. */
export class RepositoryApi {
  readonly origin: string
  readonly name: string

  constructor(origin: string, name: string) {
    this.origin = origin
    this.name = name
  }

  /** The same registry's repository of another name. */
  sibling(name: string): RepositoryApi {
    return new RepositoryApi(this.origin, name)
  }

  /** A request to a path below the repository, or to any URL that the registry gave. */
  async ask(method: string, path: string, { headers = {}, body }: Request = {}): Promise<Reply> {
    const base = `${this.origin}/v2/${this.name}/`
    const response = await fetch(new URL(path, base), {
      method,
      headers,
      redirect: 'manual',
      ...(body === undefined ? {} : { body }),
    })
    const { status } = response
    return { status, headers: response.headers, body: Buffer.from(await response.arrayBuffer()) }
  }

  /** Begin an upload; returns its Location. */
  async beginUpload(query = ''): Promise<string> {
    const begun = await this.ask('POST', `blobs/uploads/${query}`)
    expect(begun.status).toBe(202)
    return locationOf(begun)
  }

  /** Push a blob in two requests; returns its digest. */
  async pushBlob(bytes: Uint8Array, algorithm: DigestAlgorithm = 'sha256'): Promise<string> {
    const digest = digestOf(bytes, algorithm)
    const location = await this.beginUpload(`?digest-algorithm=${algorithm}`)
    const put = await this.ask('PUT', withDigest(location, digest), binary(bytes))
    expect(put.status, `${put.body}`).toBe(201)
    return digest
  }

  /** Push an image manifest over a config of its own; `more` are further fields. */
  async pushManifest(reference: string | undefined, more: object = {}): Promise<PushedManifest> {
    const config = await this.pushBlob(randomBytes(20))
    const bytes = imageManifest({ digest: config, size: 20 }, more)
    const digest = digestOf(bytes)
    const reply = await this.putManifest(reference ?? digest, bytes)
    expect(reply.status, `${reply.body}`).toBe(201)
    return { bytes, digest, reply }
  }

  putManifest(reference: string, bytes: Uint8Array, type: string = MEDIA_TYPES.ociManifest) {
    const headers = { 'content-type': type }
    return this.ask('PUT', `manifests/${reference}`, { headers, body: bytes })
  }

  getManifest(reference: string, method = 'GET') {
    return this.ask(method, `manifests/${reference}`, { headers: { accept: ACCEPT } })
  }
}

const ACCEPT = `${MEDIA_TYPES.ociManifest}, ${MEDIA_TYPES.ociIndex}`

/** A manifest and what was said when it was pushed. */
export interface PushedManifest {
  bytes: Buffer
  digest: string
  reply: Reply
}

/** An image manifest without layers; not compact, so that nobody gets away with writing it anew. */
export function imageManifest(config: { digest: string; size: number }, more: object = {}): Buffer {
  const mediaType = MEDIA_TYPES.ociManifest
  const document = {
    schemaVersion: 2,
    mediaType,
    config: { mediaType: 'application/vnd.example.config', ...config },
    layers: [],
    ...more,
  }
  return Buffer.from(`${JSON.stringify(document, null, 3)}\n`)
}

/** The Location, which has to be there. */
export function locationOf({ headers }: Reply): string {
  const location = headers.get('location')
  expect(location).not.toBe(null)
  return location ?? ''
}

/** The URL with a digest in its query, whatever else is there. */
export function withDigest(location: string, digest: string): string {
  return `${location}${location.includes('?') ? '&' : '?'}digest=${digest}`
}

/** Bytes as the body of an upload; with the offset of the first, as a chunk. */
export function binary(body: Uint8Array, offset?: number): Request {
  const range =
    offset === undefined ? {} : { 'content-range': `${offset}-${offset + body.length - 1}` }
  return { headers: { 'content-type': 'application/octet-stream', ...range }, body }
}

/** The codes of an answer that is an error in the form of the specification. */
export function errorCodes({ body }: Reply): string[] {
  const { errors } = JSON.parse(`${body}`) as { errors: Array<{ code: string }> }
  for (const { code } of errors) expect(code).toMatch(/^[A-Z_]+$/)
  return errors.map(({ code }) => code)
}

/** Start Debian's docker-registry, with deletion, in a directory that goes with it. */
export async function startDockerRegistry(): Promise<{ origin: string; stop(): Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), 'cromwell-docker-registry-'))
  const port = await freePort()
  const config = join(directory, 'config.yml')
  await writeFile(
    config,
    `version: 0.1
log: { level: error, accesslog: { disabled: true } }
storage: { filesystem: { rootdirectory: ${directory}/data }, delete: { enabled: true } }
http: { addr: '127.0.0.1:${port}' }
`,
  )
  const server = spawn('docker-registry', ['serve', config], { stdio: 'ignore' })
  const origin = `http://127.0.0.1:${port}`
  await answers(server, `${origin}/v2/`)
  const stop = async () => {
    server.kill('SIGTERM')
    if (server.exitCode === null && server.signalCode === null) await once(server, 'exit')
    await rm(directory, { recursive: true, force: true })
  }
  return { origin, stop }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function answers(server: ChildProcess, url: string): Promise<void> {
  while (server.exitCode === null) {
    const answered = await fetch(url).then(
      () => true,
      () => false,
    )
    if (answered) return
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error(`docker-registry ended with status ${server.exitCode}`)
}
