import { bytesSource } from '../client/blob-source.ts'
import type { Descriptor } from '../image/descriptor.ts'
import { digestOf } from '../image/digest.ts'
import { MEDIA_TYPES } from '../image/media-types.ts'
import {
  makeImage,
  makeLayer,
  type TestBlob,
  type TestImage,
  type TestIndex,
} from '../testing/index.ts'
import type { ContentTarget } from './content-store.ts'

/** An image with one layer of this content. */
export function imageOf(content: string, architecture = 'amd64'): TestImage {
  const platform = { os: 'linux', architecture }
  return makeImage({ layers: [makeLayer({ file: content })], platform, config: { Cmd: [content] } })
}

/** A document with its descriptor. */
export function documentOf(mediaType: string, value: object): TestBlob {
  const bytes = Buffer.from(JSON.stringify(value))
  return { descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length }, bytes }
}

const EMPTY = Buffer.from('{}')
/** The configuration of artifacts that have none. Source: image-spec, manifest.md, "empty descriptor". */
export const EMPTY_CONFIG: TestBlob = {
  descriptor: { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf(EMPTY), size: 2 },
  bytes: EMPTY,
}

/** Something that is about a manifest, with one blob of this content. */
export interface TestReferrer {
  manifest: TestBlob
  blob: TestBlob
}

/** Make a signature, an SBOM or the like for a manifest. */
export function referrerTo(
  subject: Descriptor,
  content: string,
  artifactType = 'text/sbom',
): TestReferrer {
  const bytes = Buffer.from(content)
  const blob = {
    descriptor: { mediaType: 'text/plain', digest: digestOf(bytes), size: bytes.length },
    bytes,
  }
  const { mediaType, digest, size } = subject
  const manifest = documentOf(MEDIA_TYPES.ociManifest, {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociManifest,
    artifactType,
    config: EMPTY_CONFIG.descriptor,
    layers: [blob.descriptor],
    subject: { mediaType, digest, size },
    annotations: { about: content },
  })
  return { manifest, blob }
}

/** All blobs and documents of these, children first. */
export function partsOf(content: TestImage | TestIndex | TestReferrer): TestBlob[] {
  if ('blob' in content) return [EMPTY_CONFIG, content.blob, content.manifest]
  if (content.kind === 'index') return [...content.images.flatMap(partsOf), content.index]
  const layers = content.layers.map(({ mediaType, digest, size, blob }) => {
    return { descriptor: { mediaType, digest, size }, bytes: blob }
  })
  return [...layers, content.config, content.manifest]
}

/** What a name is given to. */
export function topOf(content: TestImage | TestIndex): Descriptor {
  return content.kind === 'index' ? content.index.descriptor : content.manifest.descriptor
}

/** Store all of it, and name it if a name is given. */
export async function putAll(
  target: ContentTarget,
  content: TestImage | TestIndex | TestReferrer,
  name?: string,
): Promise<void> {
  for (const { descriptor, bytes } of partsOf(content)) {
    await target.put(bytesSource(bytes, descriptor))
  }
  if (name !== undefined && !('blob' in content)) await target.tag(name, topOf(content))
}

/** All that an iteration gives. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}
