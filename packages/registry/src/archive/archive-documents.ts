import { isRegistryError } from '../errors.ts'
import type { Descriptor } from '../image/descriptor.ts'
import { type ImageManifest, parseManifest } from '../image/manifest.ts'
import { isConfigType, MEDIA_TYPES } from '../image/media-types.ts'
import { type Platform, selectPlatform } from '../image/platform.ts'
import { canonicalName, type Reference } from '../image/reference.ts'
import { ANNOTATIONS, LAYOUT_FILE, namelessDescriptor } from '../layout/layout-index.ts'
import { ArchiveContents } from './archive-contents.ts'
import { type DockerManifestEntry, repoTag } from './docker-manifest.ts'

/** What {@link archiveDocuments} makes its files of. */
export interface ArchiveFacts {
  names: Array<{ reference: Reference; descriptor: Descriptor }>
  /** Manifests and indexes by their digest. */
  documents: ReadonlyMap<string, Uint8Array>
  /** Manifests that are about others. */
  attached: ReadonlyMap<string, Descriptor>
  platform: Platform
}

/** The files that name what is in an archive: for OCI tools index.json and oci-layout, for docker manifest.json. */
export function archiveDocuments(facts: ArchiveFacts): Array<[name: string, text: string]> {
  const { names, attached } = facts
  const named = names.map(({ reference, descriptor }) => entryFor(reference, descriptor))
  const listed = new Set(named.map(({ digest }) => digest))
  const nameless = [...attached.values()].filter(({ digest }) => !listed.has(digest))
  const manifests = named.length > 0 ? [...named, ...nameless] : [...topLevel(facts), ...nameless]
  const index = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests }
  return [
    ['index.json', JSON.stringify(index)],
    ['manifest.json', JSON.stringify(dockerEntries(facts, manifests))],
    ['oci-layout', LAYOUT_FILE],
  ]
}

/** With the complete name in both annotations: podman reads one of them, containerd the other. */
function entryFor(reference: Reference, descriptor: Descriptor): Descriptor {
  const { annotations, ...nameless } = namelessDescriptor(descriptor)
  const name = canonicalName(reference)
  const names = { [ANNOTATIONS.refName]: name, [ANNOTATIONS.imageName]: name }
  return { ...nameless, annotations: { ...annotations, ...names } }
}

/** Without names, what no other document contains. */
function topLevel({ documents, attached }: ArchiveFacts): Descriptor[] {
  const parsed = [...documents].map(([digest, bytes]) => {
    return { digest, size: bytes.byteLength, document: parseManifest(bytes, undefined, digest) }
  })
  const below = new Set(
    parsed.flatMap(({ document }) =>
      document.kind === 'index' ? document.manifests.map(({ digest }) => digest) : [],
    ),
  )
  return parsed
    .filter(({ digest }) => !below.has(digest) && !attached.has(digest))
    .map(({ digest, size, document: { mediaType } }) => ({ mediaType, digest, size }))
}

/** One entry for each image, with all of its names; artifacts are nothing to docker. */
function dockerEntries(facts: ArchiveFacts, entries: Descriptor[]): DockerManifestEntry[] {
  const found = new Map<string, DockerManifestEntry>()
  for (const entry of entries) {
    const manifest = imageOf(entry, facts, 0)
    if (manifest === undefined || !isConfigType(manifest.config.mediaType)) continue
    const Config = ArchiveContents.pathOf(manifest.config.digest)
    const Layers = manifest.layers.map(({ digest }) => ArchiveContents.pathOf(digest))
    const image = found.get(Config) ?? { Config, RepoTags: [], Layers }
    const names = facts.names.filter(({ descriptor }) => descriptor.digest === entry.digest)
    const tags = names.flatMap(({ reference }) => repoTag(reference) ?? [])
    image.RepoTags = [...new Set([...image.RepoTags, ...tags])]
    found.set(Config, image)
  }
  return [...found.values()]
}

const MAX_DEPTH = 4

function imageOf(
  { digest, mediaType }: Descriptor,
  facts: ArchiveFacts,
  depth: number,
): ImageManifest | undefined {
  const bytes = facts.documents.get(digest)
  if (bytes === undefined || depth > MAX_DEPTH) return undefined
  const document = parseManifest(bytes, mediaType, digest)
  if (document.kind === 'manifest') return document
  try {
    return imageOf(selectPlatform(document, facts.platform, digest), facts, depth + 1)
  } catch (error) {
    if (isRegistryError(error, 'ERR_REGISTRY_NO_PLATFORM')) return undefined
    throw error
  }
}
