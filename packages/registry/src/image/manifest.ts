import { RegistryError } from '../errors.ts'
import { type Descriptor, parseDescriptor } from './descriptor.ts'
import {
  badDocument,
  type JsonObject,
  optionalString,
  optionalStringMap,
  parseJsonObject,
} from './json-document.ts'
import {
  isConfigType,
  isIndexType,
  isLayerType,
  isManifestType,
  isSchema1Type,
  MEDIA_TYPES,
} from './media-types.ts'

/** An image manifest of OCI or of Docker's schema 2. Source: image-spec, manifest.md. */
export interface ImageManifest {
  kind: 'manifest'
  mediaType: string
  config: Descriptor
  /** Base layer first. */
  layers: Descriptor[]
  artifactType?: string
  /** The manifest that this one says something about. */
  subject?: Descriptor
  annotations?: Record<string, string>
}

/** An image index, or Docker's manifest list. Source: image-spec, image-index.md. */
export interface ImageIndex {
  kind: 'index'
  mediaType: string
  manifests: Descriptor[]
  artifactType?: string
  /** The manifest that this one says something about. */
  subject?: Descriptor
  annotations?: Record<string, string>
}

/** More layers than any tool builds and than the kernel stacks. */
const MAX_LAYERS = 512

/**
 * Check an untrusted manifest or index.
 *
 * `mediaType` is what carried it said it is: a Content-Type or a descriptor's type. It must agree
 * with the type that the document states itself, since a document that is a manifest to one reader
 * and an index to another hides content (CVE-2021-41190).
 * Throws `ERR_REGISTRY_BAD_MANIFEST`, `ERR_REGISTRY_TOO_LARGE`, `ERR_REGISTRY_SCHEMA1`.
 */
export function parseManifest(
  bytes: Uint8Array,
  mediaType: string | undefined,
  what = 'the manifest',
): ImageManifest | ImageIndex {
  if (mediaType !== undefined && isSchema1Type(mediaType)) throw schema1(what)
  const document = parseJsonObject(bytes, what)
  if (document['schemaVersion'] === 1) throw schema1(what)
  if (document['schemaVersion'] !== 2) throw badDocument(what, '"schemaVersion" is not 2')
  const type = agreedType(document, mediaType, what)
  if (isIndexType(type)) return parseIndex(document, type, what)
  if (isManifestType(type)) return parseImageManifest(document, type, what)
  throw new RegistryError('ERR_REGISTRY_NOT_AN_IMAGE', `${what} is of the unknown type ${type}`, {
    actual: type,
  })
}

/** Throws `ERR_REGISTRY_NOT_AN_IMAGE` unless config and layers are those of a container image. */
export function assertImage(manifest: ImageManifest, what: string): void {
  const odd = isConfigType(manifest.config.mediaType)
    ? manifest.layers.find((layer) => !isLayerType(layer.mediaType))
    : manifest.config
  if (odd === undefined) return
  throw new RegistryError(
    'ERR_REGISTRY_NOT_AN_IMAGE',
    `${what} is not a container image: it holds ${manifest.artifactType ?? odd.mediaType}`,
    { actual: manifest.artifactType ?? odd.mediaType },
  )
}

function agreedType(document: JsonObject, carried: string | undefined, what: string): string {
  const own = optionalString(document, 'mediaType', what)
  const known = carried !== undefined && (isIndexType(carried) || isManifestType(carried))
  if (own !== undefined && known && own !== carried) {
    throw badDocument(what, `it calls itself ${own} but was sent as ${carried}`)
  }
  const type = own ?? (known ? carried : undefined)
  return (
    type ?? (Array.isArray(document['manifests']) ? MEDIA_TYPES.ociIndex : MEDIA_TYPES.ociManifest)
  )
}

function parseIndex(document: JsonObject, mediaType: string, what: string): ImageIndex {
  const { manifests } = document
  if ('layers' in document || 'config' in document) {
    throw badDocument(what, 'it is an index and a manifest at once')
  }
  if (!Array.isArray(manifests)) throw badDocument(what, '"manifests" is not a list')
  return {
    kind: 'index',
    mediaType,
    manifests: manifests.map((entry) => parseDescriptor(entry, what)),
    ...parseArtifactParts(document, what),
  }
}

function parseImageManifest(document: JsonObject, mediaType: string, what: string): ImageManifest {
  const { layers } = document
  if ('manifests' in document) throw badDocument(what, 'it is an index and a manifest at once')
  if (!Array.isArray(layers)) throw badDocument(what, '"layers" is not a list')
  if (layers.length > MAX_LAYERS) throw badDocument(what, `it has more than ${MAX_LAYERS} layers`)
  return {
    kind: 'manifest',
    mediaType,
    config: parseDescriptor(document['config'], what),
    layers: layers.map((entry) => parseDescriptor(entry, what)),
    ...parseArtifactParts(document, what),
  }
}

function parseArtifactParts(
  document: JsonObject,
  what: string,
): Pick<ImageManifest, 'annotations' | 'artifactType' | 'subject'> {
  const { subject } = document
  const annotations = optionalStringMap(document, 'annotations', what)
  const artifactType = optionalString(document, 'artifactType', what)
  return {
    ...(annotations === undefined ? {} : { annotations }),
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(subject === undefined || subject === null
      ? {}
      : { subject: parseDescriptor(subject, what) }),
  }
}

function schema1(what: string): RegistryError {
  return new RegistryError(
    'ERR_REGISTRY_SCHEMA1',
    `${what} has Docker schema 1, which was retired in 2017 and cannot be verified`,
    {
      hint: 'use a newer tag of the image, or convert it once: skopeo copy docker://IMAGE docker://YOUR-REGISTRY/IMAGE',
    },
  )
}
