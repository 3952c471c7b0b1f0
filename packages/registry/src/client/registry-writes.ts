import type { Retry } from '../http/retry.ts'
import type { Descriptor } from '../image/descriptor.ts'
import type { Reference } from '../image/reference.ts'
import type { BlobSource } from './blob-source.ts'
import { deleteBlob, deleteManifest } from './delete-content.ts'
import { type DeleteTagOptions, deleteTag } from './delete-tag.ts'
import type { Exchange } from './exchange.ts'
import { hasBlob, type PushBlobOptions, pushBlob } from './push-blob.ts'
import {
  hasManifest,
  type ManifestBytes,
  type PutManifestOptions,
  type PutManifestResult,
  putManifest,
} from './put-manifest.ts'
import { createReferrersTags } from './referrers-tag.ts'
import type { CallOptions, RegistryClientOptions } from './registry-client.ts'
import type { PushOutcome } from './upload-blob.ts'

/** What changes a registry: the part of {@link RegistryClient} that pushes and deletes. */
export interface RegistryWrites {
  /** Whether the manifest is there. Asked where pushes go, and of no mirror. */
  hasManifest(reference: Reference, options?: CallOptions): Promise<boolean>
  /** Whether the blob is there, by digest and, if the registry says it, size. Asked where pushes go, and of no mirror. */
  hasBlob(
    reference: Reference,
    descriptor: Pick<Descriptor, 'digest' | 'size'>,
    options?: CallOptions,
  ): Promise<boolean>
  /**
   * Bring a blob into a repository, of which the reference needs no more: nothing is sent if it is there
   * or can be mounted. Goes on where a broken transfer stopped, as far as the registry can. What arrives
   * is what the descriptor says, or nothing. Throws `ERR_REGISTRY_SOURCE_CHANGED` and the network's codes.
   */
  pushBlob(
    reference: Reference,
    source: BlobSource,
    options?: PushBlobOptions,
  ): Promise<PushOutcome>
  /**
   * Store a manifest or index, to the byte, whose blobs and manifests are there; under the reference's tag,
   * under `tags`, or by its digest alone. One with a `subject` is listed as its referrer, by the registry
   * or, where that keeps no lists, under the referrers tag. Throws `ERR_REGISTRY_BAD_MANIFEST` if the
   * body is not of the type it is sent as.
   */
  putManifest(
    reference: Reference,
    manifest: ManifestBytes,
    options?: PutManifestOptions,
  ): Promise<PutManifestResult>
  /** Delete a manifest, by digest, and every tag that stands for it. Throws `ERR_REGISTRY_UNSUPPORTED`. */
  deleteManifest(reference: Reference, options?: CallOptions): Promise<void>
  /** Delete a tag, and never what it stands for. Throws `ERR_REGISTRY_UNSUPPORTED`; the tag is then as it was. */
  deleteTag(reference: Reference, options?: DeleteTagOptions): Promise<void>
  /** Delete a blob, whoever needs it. Throws `ERR_REGISTRY_UNSUPPORTED`. */
  deleteBlob(reference: Reference, digest: string, options?: CallOptions): Promise<void>
}

/** Everything that changes a registry, over one exchange. */
export function createRegistryWrites(
  exchange: Exchange,
  { retry: policy, onEvent }: Pick<RegistryClientOptions, 'retry' | 'onEvent'>,
): RegistryWrites {
  const referrersTags = createReferrersTags(exchange)
  const notify = ({ attempt, delayMs, error }: Retry) =>
    onEvent?.({ type: 'retry', attempt, delayMs, reason: error.message })
  return {
    hasManifest: (reference, call) => hasManifest(exchange, reference, call),
    hasBlob: (reference, descriptor, call) => hasBlob(exchange, reference, descriptor, call),
    pushBlob: (reference, source, call) =>
      pushBlob(exchange, reference, source, { ...call, policy, notify }),
    putManifest: (reference, manifest, call) =>
      putManifest(exchange, referrersTags, { ...manifest, reference }, call),
    deleteManifest: (reference, call) => deleteManifest(exchange, referrersTags, reference, call),
    deleteTag: (reference, call) => deleteTag(exchange, reference, call),
    deleteBlob: (reference, digest, call) => deleteBlob(exchange, reference, digest, call),
  }
}
