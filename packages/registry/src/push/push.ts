import type { RegistryClient } from '../client/registry-client.ts'
import { type CopySource, copy } from '../copy/copy.ts'
import { type CopyEvent, copyTopic } from '../copy/copy-event.ts'
import type { TransferCount } from '../copy/transfer.ts'
import { RegistryError } from '../errors.ts'
import type { Retry } from '../http/retry.ts'
import type { Descriptor } from '../image/descriptor.ts'
import { isDocumentType } from '../image/links.ts'
import type { Platform } from '../image/platform.ts'
import { familiarName, parseReference, type Reference, withDigest } from '../image/reference.ts'
import type { ContentTarget } from '../store/content-store.ts'
import { readSource } from '../store/documents.ts'
import { registryStore } from '../store/registry-store.ts'
import { createTask, type Task } from '../task.ts'
import { traced } from '../tracing.ts'

/** Options of {@link push}. */
export interface PushOptions {
  client: RegistryClient
  /** Tags besides the reference's own, in the same repository. */
  tags?: readonly string[] | undefined
  /** Of an index only what is for these platforms. Default: all of it, which has to be there. */
  platforms?: readonly Platform[] | undefined
  /** Whether to push what is about the image (signatures, SBOMs), too. Default false. */
  referrers?: boolean | undefined
  /** Blobs at a time. Default 4. */
  concurrency?: number | undefined
  /** Send blobs in pieces of so many bytes. Default: each at once. */
  chunkBytes?: number | undefined
  /** Repositories of the same registry that may have the blobs: they are then linked, and not sent. */
  mountFrom?: readonly string[] | undefined
  signal?: AbortSignal | undefined
  /** Called synchronously, for who prefers it to iterating the task. */
  onEvent?: ((event: PushEvent) => void) | undefined
}

/** What `push` tells while it works. */
export type PushEvent =
  | CopyEvent
  /** A blob's upload broke off and goes on after a pause. */
  | { type: 'blob-retry'; digest: string; attempt: number; delayMs: number; reason: string }

/** What {@link push} returns. */
export interface PushResult {
  reference: Reference
  /** What the name stands for at the registry now. */
  descriptor: Descriptor
  /** All that were set, the reference's own included. */
  tags: string[]
  /** By how they came; blobs below a manifest that the registry had already are not counted. */
  transferred: TransferCount
}

/**
 * Push an image from a layout, or any other store, to a registry.
 *
 * Blobs go first, several at a time, and only those that are not there; then the manifests, an index
 * after its manifests; then the tags, so that no name ever stands for half an image. Throws
 * {@link RegistryError}; after a failure the next push goes on from what the registry has.
 */
export function push(
  source: CopySource,
  reference: Reference | string,
  options: PushOptions,
): Task<PushResult, PushEvent> {
  const topicOf = (event: PushEvent) => (event.type === 'blob-retry' ? undefined : copyTopic(event))
  return createTask(
    (emit) => {
      const onEvent = (event: PushEvent) => {
        options.onEvent?.(event)
        emit(event)
      }
      const parsed = typeof reference === 'string' ? parseReference(reference) : reference
      const describe = () => ({ reference: familiarName(parsed) })
      return traced('push', describe, async (trace) => {
        const result = await run(source, parsed, { ...options, onEvent })
        if (trace !== undefined) trace.digest = result.descriptor.digest
        return result
      })
    },
    { topicOf },
  )
}

type RunOptions = PushOptions & { onEvent: (event: PushEvent) => void }

async function run(
  source: CopySource,
  reference: Reference,
  options: RunOptions,
): Promise<PushResult> {
  const { platforms, referrers, concurrency, signal, onEvent } = options
  const tags: string[] = []
  const target = { store: pushTarget(reference, tags, options), name: reference }
  const { descriptor, transferred } = await copy(source, target, {
    platforms,
    referrers,
    concurrency,
    signal,
    onEvent,
  })
  return { reference, descriptor, tags, transferred }
}

/** The repository as a place to copy to, with all tags set at once, and uploads as the caller wants them. */
function pushTarget(reference: Reference, tagged: string[], options: RunOptions): ContentTarget {
  const { client, mountFrom, chunkBytes, tags = [], onEvent } = options
  const store = registryStore(client, reference)
  const documents = new Map<string, Uint8Array>()
  return {
    ...store,
    async put(source, { signal, onProgress } = {}) {
      const { digest, mediaType } = source.descriptor
      if (isDocumentType(mediaType)) {
        const bytes = await readSource(source, signal)
        documents.set(digest, bytes)
        await client.putManifest(withDigest(reference, digest), { mediaType, bytes }, { signal })
        return 'stored'
      }
      const onRetry = ({ error, ...retry }: Retry) =>
        onEvent({ type: 'blob-retry', digest, ...retry, reason: error.message })
      const call = { signal, mountFrom, chunkBytes, onRetry, onProgress }
      const outcome = await client.pushBlob(reference, source, call)
      return outcome === 'uploaded' ? 'stored' : outcome
    },
    async tag(_name, descriptor, { signal } = {}) {
      checkDigest(reference, descriptor)
      const { tag, ...exact } = { ...reference, digest: descriptor.digest }
      const all = [...new Set([...(tag === undefined ? [] : [tag]), ...tags])]
      if (all.length === 0) return
      const { mediaType, digest } = descriptor
      const bytes =
        documents.get(digest) ??
        (await client.manifest(exact, { signal, expected: descriptor })).bytes
      const put = await client.putManifest(exact, { mediaType, bytes }, { tags: all, signal })
      tagged.push(...put.tags)
    },
  }
}

function checkDigest(reference: Reference, { digest }: Descriptor): void {
  if (reference.digest === undefined || reference.digest === digest) return
  const name = familiarName(reference)
  const message = `cannot push to ${name}: what is pushed is ${digest}`
  throw new RegistryError('ERR_REGISTRY_DIGEST_MISMATCH', message, {
    reference: name,
    expected: reference.digest,
    actual: digest,
    hint: 'leave out the digest: it follows from what is pushed',
  })
}
