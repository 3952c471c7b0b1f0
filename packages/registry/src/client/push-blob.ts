import { RegistryError } from '../errors.ts'
import { header } from '../http/response.ts'
import type { Retry, RetryPolicy } from '../http/retry.ts'
import type { Descriptor } from '../image/descriptor.ts'
import { parseDigest } from '../image/digest.ts'
import { parseReference, type Reference, repositoryName } from '../image/reference.ts'
import { throttled } from '../progress.ts'
import { traced } from '../tracing.ts'
import type { BlobSource } from './blob-source.ts'
import { CheckedSource } from './checked-source.ts'
import type { Exchange } from './exchange.ts'
import type { CallOptions } from './registry-client.ts'
import { repositoryScope } from './scope.ts'
import { type PushOutcome, uploadBlob } from './upload-blob.ts'

/** Options of {@link RegistryWrites.pushBlob}. */
export interface PushBlobOptions extends CallOptions {
  /**
   * Repositories of the same registry that may have the blob, the likeliest first; a registry that
   * does so links it from there. Empty: from wherever the registry has it.
   */
  mountFrom?: readonly string[] | undefined
  /**
   * Send pieces of this many bytes, each a request, rather than all at once: what was sent stays sent
   * when the connection breaks. More if the registry demands it.
   */
  chunkBytes?: number | undefined
  /** Send the blob with the first request, for small ones and for registries that want it so. */
  singlePost?: boolean | undefined
  /** Called with the bytes that are sent by now, at most every 100 ms and at the end; it falls when bytes are sent again. */
  onProgress?: ((sentBytes: number) => void) | undefined
}

/** What the client gives to all uploads. */
interface Uploading {
  policy?: RetryPolicy | undefined
  /** Told of every retry of an upload, besides the caller. */
  notify?: ((retry: Retry) => void) | undefined
}

/** `HEAD /v2/NAME/blobs/DIGEST`. */
export async function hasBlob(
  exchange: Exchange,
  reference: Reference,
  descriptor: Pick<Descriptor, 'digest' | 'size'>,
  call: CallOptions & { scopes?: readonly string[] } = {},
): Promise<boolean> {
  const { registry, repository } = reference
  const { digest, size } = descriptor
  parseDigest(digest)
  const { scopes, signal, onRetry } = call
  const name = repositoryName(reference)
  const response = await exchange({
    registry,
    repository,
    path: `blobs/${digest}`,
    method: 'HEAD',
    scopes,
    beforeWrite: true,
    action: `cannot ask for ${digest} in ${name}`,
    reference: name,
    signal,
    onRetry,
    accept: [404, 405],
  })
  response.cancel()
  const length = header(response, 'content-length')
  return response.status === 200 && (length === undefined || length === String(size))
}

/** Bring a blob into a repository by whatever way is shortest. */
export async function pushBlob(
  exchange: Exchange,
  reference: Reference,
  source: BlobSource,
  options: PushBlobOptions & Uploading = {},
): Promise<PushOutcome> {
  const { descriptor } = source
  const { signal, onRetry } = options
  const scopes = [repositoryScope(reference, 'pull,push')]
  const isThere = () => hasBlob(exchange, reference, descriptor, { scopes, signal, onRetry })
  for (const name of options.mountFrom ?? []) checkRepository(reference, name)
  if (await isThere()) return 'exists'
  const { digest, size } = descriptor
  const upload = {
    ...options,
    exchange,
    reference,
    descriptor,
    isThere,
    onRetry: (retry: Retry) => {
      options.notify?.(retry)
      onRetry?.(retry)
    },
    source: new CheckedSource(source),
    onProgress: options.onProgress && throttled(size, options.onProgress),
  }
  const describe = () => ({ reference: repositoryName(reference), digest, size })
  return traced('upload', describe, async (trace) => {
    const outcome = await uploadBlob(upload)
    if (trace !== undefined) trace.outcome = outcome
    return outcome
  })
}

/** It becomes a part of a scope, where a space or a colon would ask for more. */
function checkRepository({ registry }: Reference, name: string): void {
  const parsed = parseReference(`${registry}/${name}`)
  if (repositoryName(parsed) === `${registry}/${name}`) return
  const message = `"${name}" is not a repository of ${registry}`
  throw new RegistryError('ERR_REGISTRY_BAD_REFERENCE', message, {
    hint: 'write it without tag and digest',
  })
}
