import type { BlobSource } from '../client/blob-source.ts'
import type { Descriptor } from '../image/descriptor.ts'
import type { Reference } from '../image/reference.ts'

/**
 * What names something in a store.
 *
 * As text: an image reference such as `alpine:3.20`, a digest, or, in a store that is one repository,
 * a tag such as `3.20`.
 */
export type ContentName = Reference | string

/** Options that every call to a store takes. */
export interface StoreCallOptions {
  signal?: AbortSignal | undefined
}

/** A place where manifests, indexes and blobs are read: every store, and a docker-archive. All methods throw RegistryError. */
export interface ContentSource {
  /** Set if the store is one repository of a registry: other repositories there may mount its blobs. */
  readonly repository?: Pick<Reference, 'registry' | 'repository'>
  /** What the name stands for: an index, a manifest or an artifact. Undefined if it is not there. */
  resolve(name: ContentName, options?: StoreCallOptions): Promise<Descriptor | undefined>
  /** Whether the content is there, by digest and size; its bytes are not read. */
  has(descriptor: Descriptor, options?: StoreCallOptions): Promise<boolean>
  /** A document of at most 4 MiB, verified; undefined if it is missing. */
  read(descriptor: Descriptor, options?: StoreCallOptions): Promise<Uint8Array | undefined>
  /**
   * The bytes from `offset` on, which whoever stores them verifies. Throws `ERR_REGISTRY_NOT_FOUND`
   * if there are none.
   */
  open(descriptor: Descriptor, offset?: number, signal?: AbortSignal): AsyncIterable<Uint8Array>
  /** All names, as {@link ContentSource.resolve} takes them, in the store's own order. */
  names(options?: StoreCallOptions): AsyncIterable<string>
  /**
   * The manifests whose `subject` this one is: signatures, SBOMs, attestations. Each has its
   * `artifactType` and `annotations`. Source: distribution-spec, "Listing Referrers".
   */
  referrers(descriptor: Descriptor, options?: ReferrersOptions): AsyncIterable<Descriptor>
}

/** Options of {@link ContentSource.referrers}. */
export interface ReferrersOptions extends StoreCallOptions {
  /** Only those of this type. */
  artifactType?: string | undefined
}

/** How content came to be in a store: it was there, was linked from another repository, or was sent. */
export type PutOutcome = 'exists' | 'mounted' | 'stored'

/** Options of {@link ContentTarget.put}. */
export interface PutOptions extends StoreCallOptions {
  /** Where the content comes from: in the same registry it is then mounted rather than sent. */
  from?: ContentSource | undefined
  /** Called with all bytes that are there by now, an earlier attempt's included. */
  onProgress?: ((bytes: number) => void) | undefined
}

/** A place where content is put: every store, and a docker-archive that is being written. All methods throw RegistryError. */
export interface ContentTarget {
  readonly repository?: Pick<Reference, 'registry' | 'repository'>
  /** Set if a manifest or index that is there proves that everything below it is. */
  readonly closed?: true
  /** How many `put` at a time are of use. Default: as many as wanted. */
  readonly maxConcurrency?: number
  /** Whether the content is there, by digest and size. */
  has(descriptor: Descriptor, options?: StoreCallOptions): Promise<boolean>
  /**
   * Store content; it is verified before anybody can see it, and goes on where an earlier attempt
   * stopped if it can. What a document refers to is put before the document. A manifest with a
   * `subject` becomes one of its referrers.
   */
  put(source: BlobSource, options?: PutOptions): Promise<PutOutcome>
  /** Let a name stand for a manifest or index that is there, and no longer for what it stood for. */
  tag(name: ContentName, descriptor: Descriptor, options?: StoreCallOptions): Promise<void>
  /**
   * Keep content from garbage collection until the lease is released or this process ends.
   * Absent where nothing is collected behind a writer's back.
   */
  lease?(options?: StoreCallOptions): Promise<ContentLease>
}

/** A writer's hold on content that no name leads to yet. */
export interface ContentLease {
  /** Add to what is kept: before asking whether it is there, and before putting it. */
  protect(content: Iterable<{ digest: string }>): Promise<void>
  /** Let go; idempotent. */
  release(): Promise<void>
}

/** A store that is read and written: an OCI image layout, memory, or a repository of a registry. */
export interface ContentStore extends ContentSource, ContentTarget {
  /** Remove a name, not what it stands for. Returns whether it was there. */
  untag(name: ContentName, options?: StoreCallOptions): Promise<boolean>
}
