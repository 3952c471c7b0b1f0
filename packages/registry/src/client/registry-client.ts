import type { CredentialProvider } from '../auth/credentials.ts'
import type { RegistryError } from '../errors.ts'
import type { HostResolver } from '../hosts/endpoint.ts'
import { createHostResolver, type HostResolverOptions } from '../hosts/host-resolver.ts'
import type { ConcurrencyLimits } from '../http/limiter.ts'
import type { ProxySettings } from '../http/proxy.ts'
import type { Retry, RetryPolicy } from '../http/retry.ts'
import { createTransport, type TransportOptions } from '../http/transport.ts'
import type { Descriptor } from '../image/descriptor.ts'
import { parseReference, type Reference } from '../image/reference.ts'
import { createVerifiedBlob, type VerifiedBlob } from './blob.ts'
import type { BlobSource } from './blob-source.ts'
import { createExchange, type Exchange } from './exchange.ts'
import { type Explanation, explainReference } from './explain.ts'
import { type BlobBody, type BlobRange, openBlob, readSmallBlob } from './fetch-blob.ts'
import {
  type FetchedManifest,
  fetchManifest,
  headManifest,
  type ManifestHead,
} from './fetch-manifest.ts'
import { blobBytes } from './parallel-bytes.ts'
import { createRateLimits, type RateLimit } from './rate-limit.ts'
import { createRegistryLists, type RegistryLists } from './registry-lists.ts'
import { createRegistryWrites, type RegistryWrites } from './registry-writes.ts'

/** Something worth telling that happened while talking to a registry. */
export type ClientEvent =
  | { type: 'request'; method: string; url: string; status: number; durationMs: number }
  | { type: 'retry'; attempt: number; delayMs: number; reason: string }
  /** A mirror did not help, and the next endpoint is asked; both are named by where their API begins. */
  | { type: 'mirror'; url: string; next: string; reason: string }
  /** After each answer that tells. */
  | ({ type: 'rate-limit'; registry: string } & RateLimit)
  | { type: 'warning'; message: string }

/** Options of {@link createRegistryClient}. */
export interface RegistryClientOptions extends TransportOptions, HostResolverOptions {
  /** Default: none, every registry is asked anonymously. */
  credentials?: CredentialProvider
  /** Hosts (`host` or `host:port`) to speak plain HTTP with; loopback hosts are tried with it anyway. */
  plainHttp?: string[]
  proxy?: ProxySettings
  retry?: RetryPolicy
  /** How many blobs are downloaded at the same time. */
  concurrency?: ConcurrencyLimits
  /** In place of `hosts`, `registriesConf`, `hostsDirs` and `certsDirs`. */
  resolver?: HostResolver
  /** Called synchronously; URLs are redacted. */
  onEvent?: (event: ClientEvent) => void
}

/** Options that every call takes. */
export interface CallOptions {
  signal?: AbortSignal | undefined
  onRetry?: ((retry: Retry) => void) | undefined
}

/** Options of the calls that transfer a blob. */
export interface BlobOptions extends CallOptions {
  /**
   * Connections that may share a blob of more than 64 MiB, where that is faster; each but the first
   * keeps up to 8 MiB in memory. A function is asked before each new one. Default 1.
   */
  connections?: number | (() => number) | undefined
}

/**
 * Speaks the distribution protocol (distribution-spec 1.1) with any number of registries.
 *
 * Authenticates by itself, follows redirects without giving credentials away, and tries again what
 * may pass. All methods throw {@link RegistryError}. Must be closed, or its connections keep the process alive.
 */
export interface RegistryClient extends RegistryLists, RegistryWrites {
  /** Whether the registry answers and accepts the credentials. */
  ping(registry: string, options?: CallOptions): Promise<void>
  /** What the name stands for, without downloading it; Docker Hub does not count this as a pull. */
  head(reference: Reference, options?: CallOptions): Promise<ManifestHead>
  /** The manifest or index, verified and checked. */
  manifest(
    reference: Reference,
    options?: CallOptions & { expected?: Descriptor },
  ): Promise<FetchedManifest>
  /** A blob of at most 4 MiB, verified. */
  readBlob(reference: Reference, descriptor: Descriptor, options?: CallOptions): Promise<Uint8Array>
  /** A blob of any size, or a range of it, verified when it is read; nothing is asked for before. */
  blob(
    reference: Reference,
    descriptor: Descriptor,
    options?: BlobOptions & { range?: BlobRange },
  ): VerifiedBlob
  /** A blob that can be read again, from any offset. Broken transfers go on; who reads must verify. */
  blobSource(reference: Reference, descriptor: Descriptor, options?: BlobOptions): BlobSource
  /**
   * One answer with a blob's bytes, neither verified nor resumed. It is of the whole blob if the
   * registry cannot do otherwise.
   */
  openBlob(
    reference: Reference,
    descriptor: Descriptor,
    options?: CallOptions & BlobRange,
  ): Promise<BlobBody>
  /** Which endpoints, certificates, proxy and credentials the reference is asked for with, and why. Nothing is sent. */
  explain(
    reference: Reference,
    options?: { signal?: AbortSignal | undefined },
  ): Promise<Explanation>
  /** How many requests the registry allows, by its last answer that told; undefined before. */
  rateLimit(registry: string): RateLimit | undefined
  readonly retryPolicy: RetryPolicy
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** Make a client; nothing is connected, and undici is not loaded, before its first call. */
export function createRegistryClient(options: RegistryClientOptions = {}): RegistryClient {
  const resolver = options.resolver ?? createHostResolver(options)
  const transport = createTransport(options, { tlsOf: resolver.tls })
  const limits = createRateLimits()
  const exchange: Exchange = createExchange(transport, { ...options, resolver, limits })
  const hosts = { exchange, transport }

  function bytesOf(reference: Reference, descriptor: Descriptor, call: BlobOptions) {
    const { connections = 1, onRetry } = call
    const most = typeof connections === 'function' ? connections : () => connections
    return (range: BlobRange, signal?: AbortSignal) =>
      blobBytes(
        (offset, end, within) =>
          openBlob(hosts, reference, descriptor, { offset, end, signal: within }),
        { offset: range.offset ?? 0, end: range.end ?? descriptor.size },
        { connections: most, policy: options.retry, signal, onRetry },
      )
  }

  return {
    ping: (registry, call) => ping(exchange, registry, call),
    head: (reference, call) => headManifest(exchange, reference, call),
    manifest: (reference, call) => fetchManifest(exchange, reference, call),
    readBlob: (reference, descriptor, call) =>
      readSmallBlob(hosts, reference, descriptor, { ...call, policy: options.retry }),
    blob(reference, descriptor, call = {}) {
      const { range = {}, signal } = call
      const bytes = bytesOf(reference, descriptor, call)
      const read = (stop: AbortSignal) => bytes(range, stop)
      return createVerifiedBlob({ reference, descriptor, range, read, signal })
    },
    blobSource(reference, descriptor, call = {}) {
      const bytes = bytesOf(reference, descriptor, call)
      return { descriptor, open: (offset, signal = call.signal) => bytes({ offset }, signal) }
    },
    openBlob: (reference, descriptor, call) => openBlob(hosts, reference, descriptor, call),
    explain: (reference, { signal } = {}) =>
      explainReference({ ...options, resolver }, reference, signal),
    rateLimit: (registry) => limits.of(registryName(registry)),
    ...createRegistryLists(exchange),
    ...createRegistryWrites(exchange, options),
    retryPolicy: options.retry ?? {},
    close: () => transport.close(),
    [Symbol.asyncDispose]: () => transport.close(),
  }
}

async function ping(exchange: Exchange, registry: string, call: CallOptions = {}): Promise<void> {
  const name = registryName(registry)
  const response = await exchange({
    registry: name,
    path: '',
    method: 'GET',
    action: `cannot use the registry ${name}`,
    ...call,
  })
  response.cancel()
}

/** The registry as references spell it. Any name will do: it only carries the registry. */
function registryName(registry: string): string {
  return parseReference(`${registry}/ping`).registry
}
