import { isObject, MAX_DOCUMENT_BYTES, optionalStrings } from '../image/json-document.ts'
import {
  canonicalName,
  familiarName,
  isReference,
  parseReference,
  type Reference,
} from '../image/reference.ts'
import { badArchive } from './archive-error.ts'

/** One image in manifest.json, as `docker save` writes it; paths are those of the archive. */
export interface DockerManifestEntry {
  Config: string
  /** Names with tags; empty for an image without a name. */
  RepoTags: string[]
  /** Base layer first. */
  Layers: string[]
}

/** Check an untrusted manifest.json. Throws `ERR_REGISTRY_ARCHIVE`. */
export function parseDockerManifest(bytes: Uint8Array, path: string): DockerManifestEntry[] {
  const what = 'its manifest.json'
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw badArchive(path, `${what} is not JSON`, { cause })
  }
  if (!Array.isArray(value)) throw badArchive(path, `${what} is not a list`)
  return value.map((item) => {
    if (!isObject(item) || typeof item['Config'] !== 'string') {
      throw badArchive(path, `${what} has an image without a configuration`)
    }
    const RepoTags = optionalStrings(item, 'RepoTags', what) ?? []
    const odd = RepoTags.find((name) => !isReference(name))
    if (odd !== undefined) throw badArchive(path, `${what} has ${JSON.stringify(odd)} for a name`)
    return { Config: item['Config'], RepoTags, Layers: optionalStrings(item, 'Layers', what) ?? [] }
  })
}

/** The largest manifest.json, index.json or configuration that is read. */
export const MAX_ARCHIVE_DOCUMENT_BYTES = MAX_DOCUMENT_BYTES

/**
 * A name for `RepoTags`: complete, as podman writes it, since podman takes a short one for its own
 * (`localhost/…`); docker reads both. Undefined if it has no tag.
 */
export function repoTag({ registry, repository, tag }: Reference): string | undefined {
  return tag === undefined ? undefined : canonicalName({ registry, repository, tag })
}

/** Names that stand for the same, in familiar form. */
export function familiarNames(names: readonly string[]): string[] {
  return [...new Set(names.map((name) => familiarName(parseReference(name))))]
}
