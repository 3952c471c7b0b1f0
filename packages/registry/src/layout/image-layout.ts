import type { Descriptor } from '../image/descriptor.ts'
import type { Expectation } from '../image/digest.ts'
import type { Platform } from '../image/platform.ts'
import { familiarName, type Reference } from '../image/reference.ts'
import type { ContentLease } from '../store/content-store.ts'
import { blobPath, hasSize, ingestPaths, readBlob, writeBlob } from './blob-files.ts'
import { BlobIngest } from './blob-ingest.ts'
import {
  collectGarbage,
  type GarbageOptions,
  type GarbageReport,
  type RemovedName,
  removeName,
} from './collect-garbage.ts'
import { findImage } from './find-image.ts'
import { damagedLayout } from './layout-error.ts'
import {
  ANNOTATIONS,
  changeEntries,
  entryReference,
  isNamed,
  namedEntry,
  namelessDescriptor,
  readIndexEntries,
} from './layout-index.ts'
import { openLease } from './lease.ts'
import type { StoredImage } from './stored-image.ts'
import { sweepLayout } from './sweep.ts'
import { type VerifyOptions, type VerifyReport, verifyLayout } from './verify-layout.ts'

export type { StoredImage }

/** One name in a layout. */
export interface StoredImageEntry {
  reference: Reference
  /** The familiar name. */
  name: string
  manifest: Descriptor
  resolvedDigest: string
}

/**
 * An OCI image layout on disk (image-spec, image-layout.md).
 *
 * Readers need no lock, other tools included: a blob has its name only once it is proven and synced,
 * and index.json is replaced by rename. Writers of index.json take a lock that a crash does not leave
 * behind. Directories are made for their owner only. All methods throw `ERR_REGISTRY_LAYOUT`.
 */
export interface ImageLayout {
  readonly directory: string
  /**
   * The image of this name: by name, or by digest if the reference has one.
   *
   * Reads index.json, the manifest and the configuration, and nothing else. Undefined if there is
   * none, if it is for another platform, or if its documents are missing or damaged.
   */
  find(reference: Reference, platform?: Platform): Promise<StoredImage | undefined>
  /** All names, in the order of index.json; what cannot be read is left out. */
  list(): Promise<StoredImageEntry[]>
  /** Where the blob is, or would be. Throws `ERR_REGISTRY_BAD_DIGEST`. */
  blobPath(digest: string): string
  /** Whether the blob is there, by name and size. */
  has(expected: Expectation): Promise<boolean>
  /** A small blob (at most 4 MiB), verified; undefined if it is missing or damaged. */
  read(expected: Expectation): Promise<Uint8Array | undefined>
  /** Store a blob that is at hand, verified. */
  write(expected: Expectation, bytes: Uint8Array): Promise<void>
  /** Begin, or go on with, storing a blob that comes piece by piece; undefined if it is there already. */
  ingest(expected: Expectation, signal?: AbortSignal): Promise<BlobIngest | undefined>
  /** Let a name stand for a manifest or index that is there, after all that belongs to it. */
  tag(reference: Reference, manifest: Descriptor, options?: TagOptions): Promise<void>
  /** Remove a name, not its blobs. Returns whether it was there. */
  untag(reference: Reference, options?: { signal?: AbortSignal | undefined }): Promise<boolean>
  /** Remove a name, and every blob that only it led to. Undefined if there is no such name. */
  remove(
    reference: Reference,
    options?: { signal?: AbortSignal | undefined },
  ): Promise<RemovedName | undefined>
  /** Hold blobs that are to be named later; no collection removes them, in whatever process it runs. */
  lease(options?: { signal?: AbortSignal | undefined }): Promise<ContentLease>
  /**
   * Remove all blobs that no name and no lease leads to.
   *
   * What index.json names is followed through indexes, manifests and subjects; an entry without a name
   * that is about another manifest goes with it. Safe beside readers and writers of this package at any
   * moment, and beside writers of other programs by `graceMs`.
   */
  gc(options?: GarbageOptions): Promise<GarbageReport>
  /**
   * Read every blob and follow every reference. What is wrong is reported, not thrown; to repair it,
   * remove the file that the report names and pull again.
   */
  verify(options?: VerifyOptions): Promise<VerifyReport>
  /** Remove what crashed writers left: temporary files after an hour, partial blobs after a week. */
  sweep(): Promise<void>
}

/** Options of {@link ImageLayout.tag}. */
export interface TagOptions {
  /** What the name stood for at the registry. Default: the manifest's own digest. */
  resolvedDigest?: string
  signal?: AbortSignal | undefined
}

/** Open an OCI image layout; the directory is made by the first write. Loads no HTTP client. */
export function openImageLayout(directory: string): ImageLayout {
  return {
    directory,
    find: async (reference, platform) => findImage(directory, reference, platform),
    list: async () => listEntries(directory),
    blobPath: (digest) => blobPath(directory, digest),
    has: async ({ digest, size }) => hasSize(blobPath(directory, digest), size),
    read: async (expected) => readBlob(directory, expected),
    write: (expected, bytes) => writeBlob(directory, expected, bytes),
    ingest: (expected, signal) =>
      BlobIngest.open(ingestPaths(directory, expected), expected, signal),
    tag: (reference, manifest, options) => tagImage(directory, reference, manifest, options),
    untag: (reference, { signal } = {}) => untagImage(directory, reference, signal),
    remove: (reference, options) => removeName(directory, reference, options),
    lease: ({ signal } = {}) => openLease(directory, signal),
    gc: (options) => collectGarbage(directory, options),
    verify: (options) => verifyLayout(directory, options),
    sweep: () => sweepLayout(directory),
  }
}

function listEntries(directory: string): StoredImageEntry[] {
  return readIndexEntries(directory).flatMap((manifest) => {
    const reference = entryReference(manifest)
    if (reference === undefined) return []
    const resolvedDigest = manifest.annotations?.[ANNOTATIONS.resolvedDigest] ?? manifest.digest
    const descriptor = namelessDescriptor(manifest)
    return [{ reference, name: familiarName(reference), manifest: descriptor, resolvedDigest }]
  })
}

async function tagImage(
  directory: string,
  reference: Reference,
  manifest: Descriptor,
  options: TagOptions = {},
): Promise<void> {
  const { resolvedDigest = manifest.digest, signal } = options
  await changeEntries(directory, { signal }, async (entries) => {
    if (!(await hasSize(blobPath(directory, manifest.digest), manifest.size))) {
      const why = `the manifest ${manifest.digest} is not in it`
      throw damagedLayout(directory, `${familiarName(reference)} cannot be named: ${why}`)
    }
    const others = entries.filter((entry) => !isNamed(entry, reference))
    return [...others, namedEntry(reference, manifest, resolvedDigest)]
  })
}

async function untagImage(
  directory: string,
  reference: Reference,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (readIndexEntries(directory).length === 0) return false
  let found = false
  await changeEntries(directory, { signal }, (entries) => {
    const others = entries.filter((entry) => !isNamed(entry, reference))
    found = others.length < entries.length
    return found ? others : undefined
  })
  return found
}
