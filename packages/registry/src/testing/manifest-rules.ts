import { isDigest } from '../image/digest.ts'
import { essence, isIndexType, isManifestType } from '../image/media-types.ts'
import { type Answer, failure } from './answer.ts'

/** What a registry reads in a manifest. */
export interface ManifestFacts {
  mediaType: string
  /** Digests of the blobs and manifests that have to be there. */
  blobs: string[]
  manifests: string[]
  subject: string | undefined
  artifactType: string | undefined
  annotations: Record<string, string> | undefined
}

type Document = Record<string, unknown>

/** What the manifest says, or the answer that refuses it (distribution-spec, "Pushing Manifests"). */
export function examineManifest(
  bytes: Uint8Array,
  contentType: string | undefined,
): ManifestFacts | Answer {
  const document = parse(bytes)
  if (document === undefined) return invalid('it is not a JSON object')
  const declared = document['mediaType']
  const mediaType = contentType === undefined ? declared : essence(contentType)
  if (typeof mediaType !== 'string') return invalid('its media type is not said')
  if (declared !== undefined && declared !== mediaType) {
    return invalid(`its mediaType is ${declared}, but Content-Type says ${mediaType}`)
  }
  const flaw = flawOf(document, mediaType)
  if (flaw !== undefined) return invalid(flaw)
  return factsOf(document, mediaType)
}

function flawOf(document: Document, mediaType: string): string | undefined {
  const isImage = isManifestType(mediaType)
  const isIndex = isIndexType(mediaType)
  if ((isImage || isIndex) && document['schemaVersion'] !== 2) return 'its schemaVersion is not 2'
  if (isImage && !isDescriptor(document['config'])) return 'its config is not a descriptor'
  for (const field of isImage ? ['layers'] : isIndex ? ['manifests'] : []) {
    const list = document[field]
    if (!Array.isArray(list) || !list.every(isDescriptor)) return `its ${field} are not descriptors`
  }
  const { subject } = document
  if (subject !== undefined && !isDescriptor(subject)) return 'its subject is not a descriptor'
  return undefined
}

function factsOf(document: Document, mediaType: string): ManifestFacts {
  const config = descriptors([document['config']])
  const layers = descriptors(document['layers']).filter((layer) => !isForeign(layer))
  const isImage = isManifestType(mediaType)
  const { artifactType, annotations } = document
  return {
    mediaType,
    blobs: isImage ? [...config, ...layers].map(({ digest }) => digest) : [],
    manifests: isIndexType(mediaType)
      ? descriptors(document['manifests']).map(({ digest }) => digest)
      : [],
    subject: descriptors([document['subject']])[0]?.digest,
    artifactType:
      typeof artifactType === 'string' && artifactType !== ''
        ? artifactType
        : isImage
          ? config[0]?.mediaType
          : undefined,
    annotations: isObject(annotations) ? (annotations as Record<string, string>) : undefined, // sent back as they came
  }
}

interface LooseDescriptor {
  mediaType: string
  digest: string
  size: number
  urls?: unknown
}

function descriptors(list: unknown): LooseDescriptor[] {
  return Array.isArray(list) ? list.filter(isDescriptor) : []
}

function isDescriptor(value: unknown): value is LooseDescriptor {
  if (!isObject(value)) return false
  const { mediaType, digest, size } = value
  return typeof mediaType === 'string' && isDigest(digest) && Number.isSafeInteger(size)
}

/** Layers that nobody may hand on are elsewhere. */
function isForeign({ mediaType, urls }: LooseDescriptor): boolean {
  return Array.isArray(urls) || /nondistributable|foreign/.test(mediaType)
}

function parse(bytes: Uint8Array): Document | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString())
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Document {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function invalid(why: string): Answer {
  return failure('MANIFEST_INVALID', `the manifest is not acceptable: ${why}`)
}
