import { readFileSync } from 'node:fs'
import { readdir, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isRegistryError } from '../errors.ts'
import type { Descriptor } from '../image/descriptor.ts'
import { type Expectation, parseDigest, verifyBytes } from '../image/digest.ts'
import { hostPlatform } from '../image/host-platform.ts'
import { checkDocumentSize } from '../image/json-document.ts'
import { type ImageManifest, parseManifest } from '../image/manifest.ts'
import { matchesPlatform, type Platform, selectPlatform } from '../image/platform.ts'
import { canonicalName, familiarName, type Reference, repositoryName } from '../image/reference.ts'
import { BlobIngest, hasSize } from './blob-ingest.ts'
import { makePrivateDirectories, TEMPORARY_SUFFIX, writeDurably } from './durable-file.ts'
import { damagedLayout, isMissing, layoutError } from './layout-error.ts'
import {
  ANNOTATIONS,
  entryReference,
  namedEntry,
  namelessDescriptor,
  readIndexEntries,
  replaceEntry,
} from './layout-index.ts'
import { assembleImage, platformOf, type StoredImage } from './stored-image.ts'

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
  /** Let a name stand for an image manifest whose blobs are all there. */
  tag(reference: Reference, manifest: Descriptor, options?: TagOptions): Promise<void>
  /** Remove a name, not its blobs. Returns whether it was there. */
  untag(reference: Reference, options?: { signal?: AbortSignal }): Promise<boolean>
  /** Remove what crashed writers left: temporary files after an hour, partial blobs after a week. */
  sweep(): Promise<void>
}

/** Options of {@link ImageLayout.tag}. */
export interface TagOptions {
  /** What the name stood for at the registry. Default: the manifest's own digest. */
  resolvedDigest?: string
  signal?: AbortSignal | undefined
}

const HOUR_MS = 3_600_000
const PARTIAL_LIFE_MS = 7 * 24 * HOUR_MS
const MAX_INDEX_DEPTH = 3

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
    untag: (reference, { signal } = {}) =>
      replaceEntry(directory, reference, undefined, { signal }),
    sweep: () => sweepLayout(directory),
  }
}

function findImage(
  directory: string,
  reference: Reference,
  platform: Platform | undefined,
): StoredImage | undefined {
  const entry = findEntry(directory, reference)
  if (entry === undefined) return undefined
  const resolvedDigest = entry.annotations?.[ANNOTATIONS.resolvedDigest] ?? entry.digest
  const found = readImageManifest(directory, namelessDescriptor(entry), platform ?? hostPlatform())
  const configBytes = found && readBlob(directory, found.manifest.config)
  if (found === undefined || configBytes === undefined) return undefined
  const image = assembleImage({ reference, ...found, configBytes, resolvedDigest })
  return platform === undefined || matchesPlatform(platform, platformOf(image)) ? image : undefined
}

/** The entry of exactly this name; for a digest, any entry of the repository that has it. */
function findEntry(directory: string, reference: Reference): Descriptor | undefined {
  const entries = readIndexEntries(directory)
  const wanted = canonicalName(reference)
  const named = entries.findLast((entry) => {
    const name = entryReference(entry)
    return name !== undefined && canonicalName(name) === wanted
  })
  if (named !== undefined || reference.digest === undefined) return named
  return entries.findLast((entry) => {
    const name = entryReference(entry)
    if (name === undefined || repositoryName(name) !== repositoryName(reference)) return false
    const digests = [entry.digest, entry.annotations?.[ANNOTATIONS.resolvedDigest]]
    return digests.includes(reference.digest)
  })
}

/** Other tools store an index under a name too; then the platform decides here. */
function readImageManifest(
  directory: string,
  entry: Descriptor,
  platform: Platform,
): { descriptor: Descriptor; manifest: ImageManifest } | undefined {
  let descriptor = entry
  for (let depth = 0; depth < MAX_INDEX_DEPTH; depth++) {
    const bytes = readBlob(directory, descriptor)
    if (bytes === undefined) return undefined
    const document = parseManifest(
      bytes,
      descriptor.mediaType,
      blobPath(directory, descriptor.digest),
    )
    if (document.kind === 'manifest') return { descriptor, manifest: document }
    try {
      descriptor = selectPlatform(document, platform)
    } catch (error) {
      if (isRegistryError(error, 'ERR_REGISTRY_NO_PLATFORM')) return undefined
      throw error
    }
  }
  return undefined
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

function blobPath(directory: string, digest: string): string {
  const { algorithm, hex } = parseDigest(digest)
  return join(directory, 'blobs', algorithm, hex)
}

function readBlob(directory: string, expected: Expectation): Uint8Array | undefined {
  const path = blobPath(directory, expected.digest)
  checkDocumentSize(expected.size, path)
  try {
    const bytes = readFileSync(path)
    verifyBytes(bytes, expected)
    return bytes
  } catch (error) {
    const damaged =
      isRegistryError(error, 'ERR_REGISTRY_DIGEST_MISMATCH') ||
      isRegistryError(error, 'ERR_REGISTRY_SIZE_MISMATCH')
    if (isMissing(error) || damaged) return undefined
    throw layoutError('read', path, error)
  }
}

async function writeBlob(
  directory: string,
  expected: Expectation,
  bytes: Uint8Array,
): Promise<void> {
  verifyBytes(bytes, expected)
  const path = blobPath(directory, expected.digest)
  try {
    await makePrivateDirectories(directory, 'partial', 'blobs')
    await makePrivateDirectories(dirname(path))
    await writeDurably(path, bytes, join(directory, 'partial'))
  } catch (error) {
    throw layoutError('write', path, error)
  }
}

function ingestPaths(directory: string, { digest }: Expectation) {
  const { algorithm, hex } = parseDigest(digest)
  return {
    partial: join(directory, 'partial', `${algorithm}-${hex}`),
    final: blobPath(directory, digest),
  }
}

async function tagImage(
  directory: string,
  reference: Reference,
  manifest: Descriptor,
  options: TagOptions = {},
): Promise<void> {
  const { resolvedDigest = manifest.digest, signal } = options
  if (!(await hasSize(blobPath(directory, manifest.digest), manifest.size))) {
    const why = `the manifest ${manifest.digest} is not in it`
    throw damagedLayout(directory, `${familiarName(reference)} cannot be named: ${why}`)
  }
  await replaceEntry(directory, reference, namedEntry(reference, manifest, resolvedDigest), {
    signal,
  })
}

async function sweepLayout(directory: string): Promise<void> {
  const now = Date.now()
  const beside = (await namesIn(directory)).filter(isTemporary)
  const partial = (await namesIn(join(directory, 'partial'))).map((name) => join('partial', name))
  for (const name of [...beside, ...partial]) {
    const path = join(directory, name)
    const life = isTemporary(name) ? HOUR_MS : PARTIAL_LIFE_MS
    if (now - (await lastTouched(path, now)) > life) await unlink(path).catch(() => {})
  }
}

function isTemporary(name: string): boolean {
  return name.endsWith(TEMPORARY_SUFFIX) || name.endsWith('.claim')
}

async function namesIn(directory: string): Promise<string[]> {
  return readdir(directory).catch(() => [])
}

async function lastTouched(path: string, fallback: number): Promise<number> {
  return stat(path).then(
    (found) => found.mtimeMs,
    () => fallback,
  )
}
