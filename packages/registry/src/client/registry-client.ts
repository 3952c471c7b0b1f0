import type { CredentialProvider } from '../auth/credentials.ts'
import type { RegistryError } from '../errors.ts'
import type { ProxySettings } from '../http/proxy.ts'
import type { Retry, RetryPolicy } from '../http/retry.ts'
import { createTransport, type TransportOptions } from '../http/transport.ts'
import type { Descriptor } from '../image/descriptor.ts'
import { parseReference, type Reference } from '../image/reference.ts'
import { createExchange, type Exchange } from './exchange.ts'
import { type BlobBody, openBlob, readSmallBlob } from './fetch-blob.ts'
import {
  type FetchedManifest,
  fetchManifest,
  headManifest,
  type ManifestHead,
} from './fetch-manifest.ts'

/** Something worth telling that happened while talking to a registry. */
export type ClientEvent =
  | { type: 'request'; method: string; url: string; status: number; durationMs: number }
  | { type: 'retry'; attempt: number; delayMs: number; reason: string }
  | { type: 'warning'; message: string }

/** Options of {@link createRegistryClient}. */
export interface RegistryClientOptions extends TransportOptions {
  /** Default: none, every registry is asked anonymously. */
  credentials?: CredentialProvider
  /** Hosts (`host` or `host:port`) to speak plain HTTP with; loopback hosts are tried with it anyway. */
  plainHttp?: string[]
  proxy?: ProxySettings
  retry?: RetryPolicy
  /** Called synchronously; URLs are redacted. */
  onEvent?: (event: ClientEvent) => void
}

/** Options that every call takes. */
export interface CallOptions {
  signal?: AbortSignal | undefined
  onRetry?: ((retry: Retry) => void) | undefined
}

/**
 * Speaks the distribution protocol (distribution-spec 1.1) with any number of registries.
 *
 * Authenticates by itself, follows redirects without giving credentials away, and tries again what
 * may pass. All methods throw {@link RegistryError}. Must be closed, or its connections keep the process alive.
 */
export interface RegistryClient {
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
  /**
   * One answer with a blob's bytes from `offset` on, neither verified nor resumed; `pull` does both.
   * The answer begins at 0 if the registry cannot do otherwise.
   */
  openBlob(
    reference: Reference,
    descriptor: Descriptor,
    options?: CallOptions & { offset?: number },
  ): Promise<BlobBody>
  readonly retryPolicy: RetryPolicy
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** Make a client; nothing is connected, and undici is not loaded, before its first call. */
export function createRegistryClient(options: RegistryClientOptions = {}): RegistryClient {
  const transport = createTransport(options)
  const exchange: Exchange = createExchange(transport, options)
  return {
    ping: (registry, call) => ping(exchange, registry, call),
    head: (reference, call) => headManifest(exchange, reference, call),
    manifest: (reference, call) => fetchManifest(exchange, reference, call),
    readBlob: (reference, descriptor, call) =>
      readSmallBlob(exchange, reference, descriptor, { ...call, policy: options.retry }),
    openBlob: (reference, descriptor, call) => openBlob(exchange, reference, descriptor, call),
    retryPolicy: options.retry ?? {},
    close: () => transport.close(),
    [Symbol.asyncDispose]: () => transport.close(),
  }
}

async function ping(exchange: Exchange, registry: string, call: CallOptions = {}): Promise<void> {
  // Any name will do: it only carries the registry, spelled as in references.
  const { registry: name } = parseReference(`${registry}/ping`)
  const response = await exchange({
    registry: name,
    path: '',
    method: 'GET',
    action: `cannot use the registry ${name}`,
    ...call,
  })
  response.cancel()
}
