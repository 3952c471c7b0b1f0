import { isDigest } from '../image/digest.ts'
import { isObject, MAX_DOCUMENT_BYTES } from '../image/json-document.ts'
import { linksOf } from '../image/links.ts'
import { blobPath, readRegularFile } from './blob-files.ts'

/** Which entries of index.json stay, and every digest that they lead to. */
export interface Reachable {
  entries: unknown[]
  digests: Set<string>
}

/**
 * Follow the entries of index.json, and further digests, to everything below them.
 *
 * An entry without a name that is about another manifest (a signature, an SBOM) stays as long as that
 * one is reachable by another way. Documents are followed whether they are damaged or not: what one
 * cannot be sure of is not garbage.
 */
export function findReachable(
  directory: string,
  entries: readonly unknown[],
  further: Iterable<string> = [],
): Reachable {
  const digests = new Set<string>()
  const waiting: Array<{ entry: unknown; digest: string; subject: string }> = []
  const kept = new Set<unknown>()
  for (const entry of entries) {
    const digest = digestOfEntry(entry)
    const subject = digest === undefined ? undefined : attachedTo(directory, entry, digest)
    if (digest !== undefined && subject !== undefined) waiting.push({ entry, digest, subject })
    else {
      kept.add(entry)
      if (digest !== undefined) follow(directory, digest, digests)
    }
  }
  for (const digest of further) follow(directory, digest, digests)
  for (let found = true; found; ) {
    found = false
    for (const { entry, digest, subject } of waiting) {
      if (kept.has(entry) || !(digests.has(subject) || digests.has(digest))) continue
      kept.add(entry)
      follow(directory, digest, digests)
      found = true
    }
  }
  return { entries: entries.filter((entry) => kept.has(entry)), digests }
}

/** Every digest that is reached from one, itself included. */
export function follow(directory: string, start: string, seen: Set<string>): Set<string> {
  const queue = [start]
  for (let digest = queue.pop(); digest !== undefined; digest = queue.pop()) {
    if (seen.has(digest)) continue
    seen.add(digest)
    for (const { role, descriptor } of linksAt(directory, digest)) {
      if (role === 'config' || role === 'layer') seen.add(descriptor.digest)
      else queue.push(descriptor.digest)
    }
  }
  return seen
}

function linksAt(directory: string, digest: string) {
  try {
    return linksOf(readRegularFile(blobPath(directory, digest), MAX_DOCUMENT_BYTES), digest, skip)
  } catch {
    return [] // it is missing, or no document
  }
}

/** The digest of the manifest that a nameless entry is about. */
function attachedTo(directory: string, entry: unknown, digest: string): string | undefined {
  if (isObject(entry) && isObject(entry['annotations'])) {
    const name = entry['annotations']['org.opencontainers.image.ref.name']
    const [, algorithm, hex] = FALLBACK_TAG.exec(String(name)) ?? []
    if (algorithm !== undefined) return `${algorithm}:${hex}`
    if (name !== undefined) return undefined
  }
  return linksAt(directory, digest).find(({ role }) => role === 'subject')?.descriptor.digest
}

/** The tag of a list of referrers. Source: distribution-spec, "Referrers Tag Schema". */
const FALLBACK_TAG = /^(sha256|sha512)-([a-f0-9]{64,128})$/

function digestOfEntry(entry: unknown): string | undefined {
  const digest = isObject(entry) ? entry['digest'] : undefined
  return isDigest(digest) ? digest : undefined
}

function skip(): void {}
