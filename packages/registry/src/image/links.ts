import { type Descriptor, parseDescriptor } from './descriptor.ts'
import { isObject, type JsonObject, parseJsonObject } from './json-document.ts'
import { isIndexType, isManifestType } from './media-types.ts'

/** What a document refers to, and as what. */
export interface Link {
  role: 'manifest' | 'config' | 'layer' | 'subject'
  descriptor: Descriptor
}

/** How documents of other kinds call their lists; the artifact manifest was in image-spec 1.1 until its last draft. */
const LISTS = { manifests: 'manifest', layers: 'layer', blobs: 'layer' } as const

/** Whether content of this type refers to other content. */
export function isDocumentType(mediaType: string): boolean {
  return isIndexType(mediaType) || isManifestType(mediaType)
}

/**
 * Everything that a manifest or index refers to, in its order, its subject last.
 *
 * Descriptors that are none go to `onBad`, which throws by default. Throws
 * `ERR_REGISTRY_BAD_MANIFEST`, `ERR_REGISTRY_TOO_LARGE`.
 */
export function linksOf(
  bytes: Uint8Array,
  what: string,
  onBad: (error: unknown) => void = rethrow,
): Link[] {
  const document = parseJsonObject(bytes, what)
  const links: Link[] = []
  for (const [role, value] of candidates(document)) {
    try {
      links.push({ role, descriptor: parseDescriptor(value, what) })
    } catch (error) {
      onBad(error)
    }
  }
  return links
}

function candidates(document: JsonObject): Array<[Link['role'], unknown]> {
  const found: Array<[Link['role'], unknown]> = []
  if (isObject(document['config'])) found.push(['config', document['config']])
  for (const [key, role] of Object.entries(LISTS)) {
    const list = document[key]
    if (Array.isArray(list)) for (const value of list) found.push([role, value])
  }
  if (isObject(document['subject'])) found.push(['subject', document['subject']])
  return found
}

function rethrow(error: unknown): void {
  throw error
}
