import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { AccessControl, type AccessOptions } from './access.ts'
import { type Answer, distorted, errorAnswer, ranged, sendAnswer } from './answer.ts'
import { type Endpoint, type Fault, FaultPlan } from './fault.ts'
import type { TestImage, TestIndex } from './image.ts'
import { RepositoryStore } from './repository-store.ts'

/** Options of {@link createTestRegistry}. */
export interface TestRegistryOptions extends AccessOptions {
  faults?: Fault[]
  /** Whether blobs are served by another host, which the registry redirects to. Default false. */
  redirectBlobs?: boolean
  /** Key and certificate in PEM, to speak TLS. */
  tls?: { key: string; cert: string }
  /** Default: one that is free. */
  port?: number
}

/** A request that a test registry, its token service or its blob storage got. */
export interface LoggedRequest {
  server: 'registry' | 'token' | 'storage'
  method: string
  /** With the query. */
  path: string
  headers: IncomingMessage['headers']
  status: number
  /** Bytes of the body that were sent. */
  sent: number
}

/** An in-memory registry on loopback. */
export interface TestRegistry {
  /** `127.0.0.1:PORT`. */
  readonly host: string
  /** Everything that was asked, in the order of the answers. */
  readonly requests: LoggedRequest[]
  /** Serve an image under a name such as `library/alpine:3.20`. Returns the digest the name then stands for. */
  addImage(name: string, image: TestImage | TestIndex): string
  addFault(fault: Fault): void
  clearFaults(): void
  /** Make every token that was given out worthless. */
  revokeTokens(): void
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** A question to the registry's API, taken apart. */
interface Question {
  endpoint: Endpoint
  repository?: string
  reference?: string
}

/**
 * Start a registry that speaks Docker Hub's protocol: challenge, token service, manifests by tag and
 * digest, HEAD, blobs with ranges and redirects; with faults on demand. It takes no uploads.
 */
export async function createTestRegistry(options: TestRegistryOptions = {}): Promise<TestRegistry> {
  const store = new RepositoryStore()
  const access = new AccessControl(options)
  const faults = new FaultPlan()
  for (const fault of options.faults ?? []) faults.add(fault)
  const requests: LoggedRequest[] = []
  const registry = options.tls ? createTlsServer(options.tls) : createServer()
  const side = createServer()
  let storage = ''

  async function answer(
    server: LoggedRequest['server'],
    request: IncomingMessage,
    response: ServerResponse,
    judge: (fault: Fault | undefined, path: string) => Answer,
    endpoint: Endpoint | undefined,
  ): Promise<void> {
    const { method = 'GET', url: path = '/', headers } = request
    const fault = endpoint && faults.take(endpoint, decodeURIComponent(path))
    const said = distorted(judge(fault, path), fault)
    const entry = { server, method, path, headers, status: said.status, sent: 0 }
    requests.push(entry)
    entry.sent = await sendAnswer(response, said, { head: method === 'HEAD', fault })
  }

  function read(question: Question, request: IncomingMessage, fault: Fault | undefined): Answer {
    const { endpoint, repository = '', reference = '' } = question
    const denied = access.check(request, question.repository)
    if (denied !== undefined) return denied
    if (endpoint === 'ping') return { status: 200, headers: VERSION, body: Buffer.from('{}') }
    if (endpoint === 'manifest') return readManifest(store, repository, reference, request)
    const body = store.blob(repository, reference)
    if (body === undefined) return errorAnswer(404, 'BLOB_UNKNOWN', 'blob unknown to registry')
    if (options.redirectBlobs) {
      const location = `${storage}/${repository}/blobs/${reference}?signature=${SIGNATURE}`
      return { status: 307, headers: { location }, body: new Uint8Array() }
    }
    return blobAnswer(body, reference, request, fault)
  }

  registry.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const question = parseQuestion(request.url ?? '/')
    const redirected = question.endpoint === 'blob' && options.redirectBlobs === true
    const endpoint = redirected ? undefined : question.endpoint // the storage has the blob's faults
    void answer('registry', request, response, (fault) => read(question, request, fault), endpoint)
  })

  side.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? '/', 'http://side')
    if (url.pathname === '/token') {
      return void answer('token', request, response, () => access.token(request, url), 'token')
    }
    void answer(
      'storage',
      request,
      response,
      (fault) => readStorage(store, url, request, fault),
      'blob',
    )
  })

  const host = await listen(registry, options.port)
  storage = `http://${await listen(side)}`
  access.realm = `${storage}/token`

  const close = async () => {
    await Promise.all([stop(registry), stop(side)])
  }
  return {
    host,
    requests,
    addImage: (name, image) => store.add(name, image),
    addFault: (fault) => faults.add(fault),
    clearFaults: () => faults.clear(),
    revokeTokens: () => access.revokeTokens(),
    close,
    [Symbol.asyncDispose]: close,
  }
}

const VERSION = {
  'docker-distribution-api-version': 'registry/2.0',
  'content-type': 'application/json',
}
const SIGNATURE = 'valid-for-a-while'

function parseQuestion(path: string): Question {
  const { pathname } = new URL(path, 'http://registry')
  const [, repository, kind, reference] =
    /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(pathname) ?? []
  if (repository === undefined || reference === undefined) return { endpoint: 'ping' }
  const endpoint = kind === 'manifests' ? 'manifest' : 'blob'
  return { endpoint, repository, reference: decodeURIComponent(reference) }
}

/** As registries do, refuse to send what the client does not say it reads. */
function readManifest(
  store: RepositoryStore,
  repository: string,
  reference: string,
  request: IncomingMessage,
): Answer {
  const found = store.manifest(repository, reference)
  if (found === undefined) return errorAnswer(404, 'MANIFEST_UNKNOWN', 'manifest unknown')
  const { mediaType, digest } = found.descriptor
  if (!(request.headers.accept ?? '').includes(mediaType)) {
    return errorAnswer(
      404,
      'MANIFEST_UNKNOWN',
      `the manifest is ${mediaType}, which is not accepted`,
    )
  }
  const headers = { ...VERSION, 'content-type': mediaType, 'docker-content-digest': digest }
  return { status: 200, headers, body: found.bytes }
}

/** A storage knows nothing of the registry's tokens, and refuses requests that carry one. */
function readStorage(
  store: RepositoryStore,
  url: URL,
  request: IncomingMessage,
  fault: Fault | undefined,
): Answer {
  const [, repository = '', digest = ''] = /^\/(.+)\/blobs\/([^/]+)$/.exec(url.pathname) ?? []
  if (request.headers.authorization !== undefined) {
    return errorAnswer(400, 'UNSUPPORTED', 'only one way to authenticate is allowed')
  }
  if (url.searchParams.get('signature') !== SIGNATURE)
    return errorAnswer(403, 'DENIED', 'not signed')
  const body = store.blob(repository, digest)
  if (body === undefined) return errorAnswer(404, 'BLOB_UNKNOWN', 'no such object')
  return blobAnswer(body, digest, request, fault)
}

function blobAnswer(
  body: Uint8Array,
  digest: string,
  request: IncomingMessage,
  fault: Fault | undefined,
): Answer {
  const headers = { 'content-type': 'application/octet-stream', 'docker-content-digest': digest }
  return ranged({ status: 200, headers, body }, request.headers.range, fault)
}

async function listen(server: Server, port = 0): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  // A server that listens on TCP has an address of this form.
  const address = server.address() as AddressInfo
  return `127.0.0.1:${address.port}`
}

async function stop(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
