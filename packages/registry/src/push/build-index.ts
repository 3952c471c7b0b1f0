import type { Descriptor } from '../image/descriptor.ts'
import { digestOf } from '../image/digest.ts'
import { MEDIA_TYPES } from '../image/media-types.ts'
import type { Platform } from '../image/platform.ts'

/** One manifest in an index that is being built. */
export interface IndexEntry {
  /** As `putManifest`, `head` or a store give it. */
  descriptor: Descriptor
  /** Default: the descriptor's own. */
  platform?: Platform | undefined
  annotations?: Record<string, string> | undefined
}

/** Options of {@link buildIndex}. */
export interface IndexOptions {
  annotations?: Record<string, string> | undefined
  /** For an index that is no image for several platforms. */
  artifactType?: string | undefined
  /** The manifest that the index says something about. */
  subject?: Descriptor | undefined
}

/** An index, ready for `putManifest`. */
export interface BuiltIndex {
  descriptor: Descriptor
  mediaType: string
  bytes: Uint8Array
}

/**
 * Put manifests under one index, in the given order; the same entries give the same bytes.
 *
 * Source: image-spec, image-index.md.
 */
export function buildIndex(entries: readonly IndexEntry[], options: IndexOptions = {}): BuiltIndex {
  const mediaType = MEDIA_TYPES.ociIndex
  const { annotations, artifactType, subject } = options
  const document = {
    schemaVersion: 2,
    mediaType,
    ...(artifactType === undefined ? {} : { artifactType }),
    manifests: entries.map(entryOf),
    ...(subject === undefined ? {} : { subject: bare(subject) }),
    ...(annotations === undefined ? {} : { annotations }),
  }
  const bytes = Buffer.from(JSON.stringify(document))
  return {
    descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length },
    mediaType,
    bytes,
  }
}

function entryOf({ descriptor, platform = descriptor.platform, annotations }: IndexEntry) {
  const { annotations: own, platform: _, ...rest } = descriptor
  const all = { ...own, ...annotations }
  return {
    ...rest,
    ...(platform === undefined ? {} : { platform }),
    ...(Object.keys(all).length === 0 ? {} : { annotations: all }),
  }
}

function bare({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size }
}
