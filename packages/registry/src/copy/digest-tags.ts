import type { Descriptor } from '../image/descriptor.ts'
import { parseReference, repositoryName, withTag } from '../image/reference.ts'
import type { ContentName, ContentSource, ContentTarget } from '../store/content-store.ts'

/** A tag that is made of the digest of what it is about, such as `sha256-….sig`. */
export interface DigestTag {
  tag: string
  descriptor: Descriptor
}

/** `sha256-….sig`; without an ending it is the list of referrers, which stores keep by themselves. */
const DIGEST_TAG = /^(sha256|sha512)-([a-f0-9]+)\.[A-Za-z0-9_.-]+$/

/** The tags beside `name` that are about one of the digests. Lists all names of the source. */
export async function findDigestTags(
  source: ContentSource,
  name: ContentName,
  isAbout: (digest: string) => boolean,
  signal: AbortSignal | undefined,
): Promise<DigestTag[]> {
  const found: DigestTag[] = []
  for await (const other of source.names({ signal })) {
    const tag = tagBeside(source, name, other)
    const [, algorithm, hex] = DIGEST_TAG.exec(tag ?? '') ?? []
    if (tag === undefined || !isAbout(`${algorithm}:${hex}`)) continue
    const descriptor = await source.resolve(other, { signal })
    if (descriptor !== undefined) found.push({ tag, descriptor })
  }
  return found
}

/** The name of a tag in the repository that `name` is in. */
export function nameBeside(
  store: ContentSource | ContentTarget,
  name: ContentName,
  tag: string,
): ContentName {
  if (store.repository !== undefined) return tag
  return withTag(typeof name === 'string' ? parseReference(name) : name, tag)
}

function tagBeside(source: ContentSource, name: ContentName, other: string): string | undefined {
  if (source.repository !== undefined) return other
  try {
    const [here, there] = [
      typeof name === 'string' ? parseReference(name) : name,
      parseReference(other),
    ]
    return repositoryName(here) === repositoryName(there) ? there.tag : undefined
  } catch {
    return undefined // not a reference: a digest, or another tool's name
  }
}
