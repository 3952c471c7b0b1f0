import { type Descriptor, parseDescriptor } from '../image/descriptor.ts'
import { digestOf } from '../image/digest.ts'
import { parseImageConfig } from '../image/image-config.ts'
import { parseJsonObject } from '../image/json-document.ts'
import { isDocumentType, linksOf } from '../image/links.ts'
import { parseManifest } from '../image/manifest.ts'
import { isConfigType, MEDIA_TYPES } from '../image/media-types.ts'
import { canonicalName, familiarName, isReference, parseReference } from '../image/reference.ts'
import { ANNOTATIONS, entryReference, namelessDescriptor } from '../layout/layout-index.ts'
import type { ContentName, ContentSource, ReferrersOptions } from '../store/content-store.ts'
import { describeDocument, digestInName, referrerOf } from '../store/documents.ts'
import { ArchiveContents } from './archive-contents.ts'
import { archiveError, badArchive } from './archive-error.ts'
import { openArchiveInput } from './archive-input.ts'
import { type DockerManifestEntry, familiarNames, parseDockerManifest } from './docker-manifest.ts'
import { type ArchiveLimits, scanTar } from './scan-tar.ts'

/** An image, index or artifact at the top of an archive. */
export interface ArchivedImage {
  /** What its names stand for. */
  descriptor: Descriptor
  /** Familiar names; none for an image that was saved by its id. */
  names: string[]
  /** Of an image for one platform: the digest of its configuration, docker's image id. */
  configDigest?: string
}

/** An archive of images that is read; close it. */
export interface ImageArchive extends ContentSource {
  /** In the order of the archive. */
  readonly images: readonly ArchivedImage[]
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** Options of {@link openImageArchive}. */
export interface ImageArchiveOptions {
  limits?: ArchiveLimits | undefined
  signal?: AbortSignal | undefined
}

/**
 * Open a file that `docker save`, `podman save`, `skopeo` or `buildctl` has written: a docker-archive of
 * any docker since 1.10, an OCI layout in a tar archive, or both at once; plain or compressed by gzip.
 *
 * Only its headers are read, and nothing is unpacked anywhere. Where the archive has OCI manifests their
 * digests are kept; where it has none (docker before 25), a manifest is made of its manifest.json, the
 * same one each time. Layers are verified when they are stored. Throws `ERR_REGISTRY_ARCHIVE`,
 * `ERR_REGISTRY_BAD_MANIFEST`, `ERR_REGISTRY_TOO_LARGE`.
 */
export async function openImageArchive(
  path: string,
  { limits, signal }: ImageArchiveOptions = {},
): Promise<ImageArchive> {
  const input = await openArchiveInput(path)
  try {
    const contents = new ArchiveContents(input, await scanTar(input, limits, signal))
    const entries = await readIndex(contents)
    const images = contents.members.has('manifest.json')
      ? await dockerImages(contents, entries, signal)
      : ociImages(entries, contents)
    return archiveOf(contents, entries, images)
  } catch (error) {
    await input.close()
    throw archiveError('read', path, error)
  }
}

function archiveOf(
  contents: ArchiveContents,
  entries: Descriptor[],
  images: ArchivedImage[],
): ImageArchive {
  const close = () => contents.input.close()
  return {
    images,
    resolve: async (name) => resolve(contents, images, name),
    has: async (descriptor) => contents.has(descriptor),
    read: (descriptor) => contents.read(descriptor),
    open: (descriptor, offset, signal) => contents.open(descriptor, offset, signal),
    async *names() {
      for (const { names } of images) yield* names
    },
    referrers: (descriptor, options) => referrers(contents, entries, descriptor, options),
    close,
    [Symbol.asyncDispose]: close,
  }
}

async function resolve(
  contents: ArchiveContents,
  images: readonly ArchivedImage[],
  name: ContentName,
): Promise<Descriptor | undefined> {
  const digest = digestInName(name)
  if (digest === undefined) {
    const wanted = familiarName(typeof name === 'string' ? parseReference(name) : name)
    return images.find(({ names }) => names.includes(wanted))?.descriptor
  }
  const image = images.find(
    ({ descriptor, configDigest }) => descriptor.digest === digest || configDigest === digest,
  )
  if (image !== undefined) return image.descriptor
  const size = contents.sizeOf(digest)
  const bytes = size === undefined ? undefined : await contents.read({ digest, size })
  return bytes && describeDocument(bytes, digest)
}

/** The entries of index.json; none if the archive holds no OCI layout. */
async function readIndex(contents: ArchiveContents): Promise<Descriptor[]> {
  if (!contents.members.has('index.json') || !contents.members.has('oci-layout')) return []
  const what = `index.json in ${contents.input.path}`
  const { manifests } = parseJsonObject(await contents.readMember('index.json'), what)
  return Array.isArray(manifests) ? manifests.map((entry) => parseDescriptor(entry, what)) : []
}

function ociImages(entries: Descriptor[], { input: { path } }: ArchiveContents): ArchivedImage[] {
  if (entries.length === 0) {
    throw badArchive(path, 'it has neither manifest.json nor an OCI layout', {
      hint: 'docker before 1.10 wrote neither: load and save the image with a newer docker',
    })
  }
  const images = new Map<string, ArchivedImage>()
  for (const entry of entries) {
    const image = images.get(entry.digest) ?? { descriptor: namelessDescriptor(entry), names: [] }
    const reference = entryReference(entry)
    if (reference !== undefined) image.names.push(familiarName(reference))
    images.set(entry.digest, image)
  }
  return [...images.values()]
}

/** What manifest.json lists: by the OCI manifest with the same configuration, or by one that is made of it. */
async function dockerImages(
  contents: ArchiveContents,
  entries: Descriptor[],
  signal: AbortSignal | undefined,
): Promise<ArchivedImage[]> {
  const { path } = contents.input
  const listed = parseDockerManifest(await contents.readMember('manifest.json'), path)
  const known = await findManifests(contents, entries)
  const images: ArchivedImage[] = []
  for (const entry of listed) {
    const configBytes = await contents.readMember(entry.Config)
    const configDigest = digestOf(configBytes)
    const found = known.get(configDigest)
    if (found !== undefined) checkAgreement(entry, found, contents)
    const descriptor = found?.top ?? (await makeManifest(contents, entry, configBytes, signal))
    images.push({ descriptor, names: familiarNames(entry.RepoTags), configDigest })
  }
  return [...images, ...otherImages(entries, images)]
}

/** Names of index.json that manifest.json has no room for: indexes for other platforms, and artifacts. */
function otherImages(entries: Descriptor[], images: ArchivedImage[]): ArchivedImage[] {
  const taken = new Set(images.flatMap(({ names }) => names.map(canonical)))
  return entries.flatMap((entry) => {
    const reference = entryReference(entry)
    if (reference === undefined || taken.has(canonicalName(reference))) return []
    // docker's own entries have a tag alone for a name
    if (!isReference(entry.annotations?.[ANNOTATIONS.imageName] ?? '')) return []
    return [{ descriptor: namelessDescriptor(entry), names: [familiarName(reference)] }]
  })
}

function canonical(name: string): string {
  return canonicalName(parseReference(name))
}

/** An image manifest of the OCI layout in an archive. */
interface FoundManifest {
  /** The entry that leads to it, if all that belongs to that is there; else its own descriptor. */
  top: Descriptor
  layers: Descriptor[]
}

/** By the digest of their configuration. */
async function findManifests(
  contents: ArchiveContents,
  entries: Descriptor[],
): Promise<Map<string, FoundManifest>> {
  const found = new Map<string, FoundManifest>()
  for (const entry of entries) {
    const top = namelessDescriptor(entry)
    const whole = await isWhole(contents, top, 0)
    await visit(top, top, 0)
    async function visit(descriptor: Descriptor, root: Descriptor, depth: number): Promise<void> {
      const bytes = depth < MAX_DEPTH ? await readDocument(contents, descriptor) : undefined
      if (bytes === undefined) return
      const document = parseManifest(bytes, descriptor.mediaType, descriptor.digest)
      if (document.kind === 'index') {
        for (const child of document.manifests) await visit(child, root, depth + 1)
      } else if (isConfigType(document.config.mediaType) && !found.has(document.config.digest)) {
        const { layers } = document
        found.set(document.config.digest, { top: whole ? root : descriptor, layers })
      }
    }
  }
  return found
}

const MAX_DEPTH = 4

/** Whether an archive has all that belongs to a document. */
async function isWhole(
  contents: ArchiveContents,
  descriptor: Descriptor,
  depth: number,
): Promise<boolean> {
  if (!contents.has(descriptor)) return false
  if (!isDocumentType(descriptor.mediaType)) return true
  const bytes = depth < MAX_DEPTH ? await readDocument(contents, descriptor) : undefined
  if (bytes === undefined) return false
  for (const { role, descriptor: child } of linksOf(bytes, descriptor.digest)) {
    if (role !== 'subject' && !(await isWhole(contents, child, depth + 1))) return false
  }
  return true
}

async function readDocument(
  contents: ArchiveContents,
  descriptor: Descriptor,
): Promise<Uint8Array | undefined> {
  return isDocumentType(descriptor.mediaType) ? contents.read(descriptor) : undefined
}

/** An archive that is one image to docker and another one to OCI tools hides something. */
function checkAgreement(
  { Layers }: DockerManifestEntry,
  { layers }: FoundManifest,
  contents: ArchiveContents,
): void {
  const { path } = contents.input
  const same =
    Layers.length === layers.length &&
    layers.every((layer, i) => {
      const offset = contents.member(Layers[i] ?? '').offset
      return contents.members.get(ArchiveContents.pathOf(layer.digest))?.offset === offset
    })
  if (!same) throw badArchive(path, 'its manifest.json and its index.json say different things')
}

/** A manifest for an archive that has none; the same archive gives the same digest. */
async function makeManifest(
  contents: ArchiveContents,
  { Layers, Config }: DockerManifestEntry,
  configBytes: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<Descriptor> {
  const { path } = contents.input
  const { diff_ids: diffIds } = parseImageConfig(configBytes, `${Config} in ${path}`).rootfs
  if (diffIds.length !== Layers.length) {
    throw badArchive(
      path,
      `${Config} has ${diffIds.length} layers and manifest.json ${Layers.length}`,
    )
  }
  const layers: Descriptor[] = []
  for (const [i, diffId] of diffIds.entries()) {
    layers.push(await contents.addLayer(Layers[i] ?? '', diffId, signal))
  }
  const config = contents.add(MEDIA_TYPES.ociConfig, configBytes)
  const mediaType = MEDIA_TYPES.ociManifest
  const document = { schemaVersion: 2, mediaType, config, layers }
  return contents.add(mediaType, Buffer.from(JSON.stringify(document)))
}

async function* referrers(
  contents: ArchiveContents,
  entries: Descriptor[],
  { digest }: Descriptor,
  { artifactType }: ReferrersOptions = {},
): AsyncGenerator<Descriptor, void, undefined> {
  for (const entry of entries) {
    const bytes = await readDocument(contents, entry)
    const referrer = bytes && referrerOf(bytes, entry)
    if (referrer?.subject !== digest) continue
    if (artifactType === undefined || referrer.descriptor.artifactType === artifactType) {
      yield referrer.descriptor
    }
  }
}
