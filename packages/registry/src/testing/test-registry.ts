import { digestOf } from '../image/digest.ts'
import { readBody } from './body.ts'
import { openDiskStore } from './disk-store.ts'
import type { Fault } from './fault.ts'
import type { TestBlob, TestImage, TestIndex } from './image.ts'
import { listen, type ServerTls } from './listener.ts'
import { RepositoryStore } from './repository-store.ts'
import type { LoggedRequest } from './serve.ts'
import { RegistryServer, type ServerOptions } from './server.ts'
import { Uploads } from './uploads.ts'

/** Options of {@link createTestRegistry}. */
export interface TestRegistryOptions extends ServerOptions {
  faults?: Fault[]
  /** Key and certificate in PEM, to speak TLS. */
  tls?: ServerTls
  /** Default: one that is free. */
  port?: number
  /** Where to listen. Default `127.0.0.1`. */
  address?: string
  /** A directory that keeps everything beyond the registry's life; made if there is none. Default: memory. */
  data?: string
}

/** A registry for tests: a whole one, and one that fails when it is told to. */
export interface TestRegistry {
  /** `127.0.0.1:PORT`. */
  readonly host: string
  /** `http://127.0.0.1:PORT`. */
  readonly origin: string
  /** Everything that was asked, in the order of the answers. */
  readonly requests: LoggedRequest[]
  /** How many uploads of blobs have begun, and neither ended nor been cancelled. */
  readonly openUploads: number
  /** Serve an image under a name such as `library/alpine:3.20`. Returns the digest the name then stands for. */
  addImage(name: string, image: TestImage | TestIndex): string
  /** Let a repository have a blob. Returns its digest. */
  addBlob(repository: string, bytes: Uint8Array): string
  /** The manifest that a tag or digest stands for in a repository. */
  manifest(repository: string, reference: string): TestBlob | undefined
  /** The bytes of a blob; undefined if the repository does not have it. */
  blob(repository: string, digest: string): Promise<Buffer | undefined>
  /** The tags of a repository; undefined if there is no such repository. */
  tags(repository: string): string[] | undefined
  addFault(fault: Fault): void
  clearFaults(): void
  /** Make every access token that was given out worthless. */
  revokeTokens(): void
  /** A refresh token of a user, as credentials files have it (`identitytoken`). */
  issueRefreshToken(user: string): string
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Start a registry that does all that version 1.1 of the distribution specification asks for (pull,
 * push, discovery, management), speaks Docker Hub's token protocol, and makes faults on demand.
 *
 * It listens on loopback, beside it a token service that is also the storage that blobs may be
 * redirected to. Rejects with the system's error if it cannot listen or its directory cannot be read.
 */
export async function createTestRegistry(options: TestRegistryOptions = {}): Promise<TestRegistry> {
  const { data, port, address, tls } = options
  const repositories = data === undefined ? new RepositoryStore() : openDiskStore(data)
  const uploads = new Uploads(repositories.storage)
  const server = new RegistryServer(options, { repositories, uploads, options })
  for (const fault of options.faults ?? []) server.faults.add(fault)
  const registry = await listen((request, response) => server.answerRegistry(request, response), {
    port,
    address,
    tls,
  })
  const side = await listen((request, response) => server.answerSide(request, response))
  server.storage = side.origin

  const close = async () => {
    await Promise.all([registry.close(), side.close()])
    await uploads.clear()
  }
  return {
    host: registry.host,
    origin: registry.origin,
    requests: server.requests,
    get openUploads() {
      return uploads.count
    },
    addImage: (name, image) => repositories.add(name, image),
    addBlob: (repository, bytes) => {
      const digest = digestOf(bytes)
      repositories.addBlob(repository, digest, bytes)
      return digest
    },
    manifest: (repository, reference) => repositories.manifest(repository, reference),
    blob: async (repository, digest) => {
      const body = repositories.blob(repository, digest)
      return body && readBody(body)
    },
    tags: (repository) => repositories.tags(repository),
    addFault: (fault) => server.faults.add(fault),
    clearFaults: () => server.faults.clear(),
    revokeTokens: () => server.access.revokeTokens(),
    issueRefreshToken: (user) => server.access.issueRefreshToken(user),
    close,
    [Symbol.asyncDispose]: close,
  }
}
