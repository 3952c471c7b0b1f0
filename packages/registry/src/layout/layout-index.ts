import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Descriptor, parseDescriptor } from '../image/descriptor.ts'
import { isObject, type JsonObject } from '../image/json-document.ts'
import { MEDIA_TYPES } from '../image/media-types.ts'
import { canonicalName, familiarName, parseReference, type Reference } from '../image/reference.ts'
import { readRegularFile } from './blob-files.ts'
import { makePrivateDirectories, writeDurably } from './durable-file.ts'
import { damagedLayout, isMissing, layoutError } from './layout-error.ts'
import { type LockOptions, withLock } from './lock.ts'

/** The annotations by which an entry of index.json is found. */
export const ANNOTATIONS = {
  /** What `skopeo inspect oci:DIRECTORY:NAME` looks for; the familiar name here. */
  refName: 'org.opencontainers.image.ref.name',
  /** What containerd looks for; the canonical name. */
  imageName: 'io.containerd.image.name',
  /** The digest that the name stood for at the registry: of the index, if there was one. */
  resolvedDigest: 'vnd.cromwell.resolved.digest',
} as const

/** The content of the file `oci-layout`. */
export const LAYOUT_FILE = `${JSON.stringify({ imageLayoutVersion: '1.0.0' })}\n`
const LOCK_TIMEOUT_MS = 60_000
/** A hundred thousand names; a larger file would only be there to fill memory. */
const MAX_INDEX_BYTES = 64 * 1024 * 1024

/** index.json as it stands: what this package does not know is kept when it is written again. */
interface RawIndex {
  document: JsonObject
  manifests: unknown[]
}

/** The descriptors of index.json that can be read; entries that cannot are passed over. Empty if there is none. */
export function readIndexEntries(directory: string): Descriptor[] {
  return readIndex(directory).manifests.flatMap((entry) => {
    try {
      return [parseDescriptor(entry, 'index.json')]
    } catch {
      return []
    }
  })
}

/** All entries of index.json as they stand there. */
export function readRawEntries(directory: string): unknown[] {
  return readIndex(directory).manifests
}

/** The reference that an entry is stored for; undefined if it names none. */
export function entryReference(entry: Descriptor): Reference | undefined {
  const { [ANNOTATIONS.imageName]: full, [ANNOTATIONS.refName]: short } = entry.annotations ?? {}
  try {
    const text = full ?? short
    return text === undefined ? undefined : parseReference(text)
  } catch {
    return undefined
  }
}

/** The descriptor with the annotations that make it the entry for a name. */
export function namedEntry(
  reference: Reference,
  manifest: Descriptor,
  resolvedDigest: string,
): Descriptor {
  return {
    ...manifest,
    annotations: {
      ...manifest.annotations,
      [ANNOTATIONS.refName]: familiarName(reference),
      [ANNOTATIONS.imageName]: canonicalName(reference),
      [ANNOTATIONS.resolvedDigest]: resolvedDigest,
    },
  }
}

/** The entry without the annotations of {@link namedEntry}: the descriptor that was named. */
export function namelessDescriptor(entry: Descriptor): Descriptor {
  const { annotations = {}, ...descriptor } = entry
  const own = new Set<string>(Object.values(ANNOTATIONS))
  const others = Object.entries(annotations).filter(([key]) => !own.has(key))
  if (others.length === 0) return descriptor
  return { ...descriptor, annotations: Object.fromEntries(others) }
}

/**
 * Change the entries of index.json while nobody else does; `change` returns those that are to be
 * there, or undefined to leave them alone. The new file replaces the old one at once.
 */
export async function changeEntries(
  directory: string,
  options: LockOptions,
  change: (entries: unknown[]) => Promise<unknown[] | undefined> | unknown[] | undefined,
): Promise<void> {
  try {
    await makePrivateDirectories(directory, 'blobs', 'blobs/sha256')
    const settings = { timeoutMs: LOCK_TIMEOUT_MS, ...options }
    await withLock(lockPath(directory), settings, async () => {
      const { document, manifests } = readIndex(directory)
      const next = await change(manifests)
      if (next !== undefined) await writeIndex(directory, { ...document, manifests: next })
    })
  } catch (error) {
    throw layoutError('write', join(directory, 'index.json'), error)
  }
}

/** Return once nobody who held the lock of index.json at the time of the call holds it. */
export async function waitForIndexLock(directory: string, signal?: AbortSignal): Promise<void> {
  const path = lockPath(directory)
  if (existsSync(path)) await withLock(path, { signal }, async () => {})
}

/** Whether an entry, as it stands in index.json, is the one of this name. */
export function isNamed(raw: unknown, reference: Reference): boolean {
  try {
    const found = entryReference(parseDescriptor(raw, 'index.json'))
    return found !== undefined && canonicalName(found) === canonicalName(reference)
  } catch {
    return false
  }
}

function lockPath(directory: string): string {
  return join(directory, 'index.json.lock')
}

function readIndex(directory: string): RawIndex {
  const path = join(directory, 'index.json')
  let document: unknown
  try {
    document = JSON.parse(readRegularFile(path, MAX_INDEX_BYTES).toString('utf8'))
  } catch (error) {
    if (isMissing(error)) return emptyIndex()
    if (error instanceof SyntaxError) throw damagedLayout(path, 'it is not JSON', error)
    throw layoutError('read', path, error)
  }
  const manifests = isObject(document) ? (document['manifests'] ?? []) : undefined
  if (!isObject(document) || !Array.isArray(manifests)) {
    throw damagedLayout(path, 'it is not an image index')
  }
  return { document, manifests }
}

function emptyIndex(): RawIndex {
  return { document: { schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex }, manifests: [] }
}

async function writeIndex(directory: string, document: JsonObject): Promise<void> {
  const layoutFile = join(directory, 'oci-layout')
  try {
    readFileSync(layoutFile)
  } catch (error) {
    if (!isMissing(error)) throw error
    await writeDurably(layoutFile, LAYOUT_FILE)
  }
  await writeDurably(join(directory, 'index.json'), `${JSON.stringify(document, undefined, 2)}\n`)
}
