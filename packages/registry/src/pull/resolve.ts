import type { FetchedManifest } from '../client/fetch-manifest.ts'
import type { CallOptions, RegistryClient } from '../client/registry-client.ts'
import { RegistryError } from '../errors.ts'
import type { Descriptor } from '../image/descriptor.ts'
import { digestOf } from '../image/digest.ts'
import { assertImage, type ImageManifest } from '../image/manifest.ts'
import { MEDIA_TYPES, toOciType } from '../image/media-types.ts'
import { type Platform, selectPlatform } from '../image/platform.ts'
import { familiarName, type Reference, withDigest } from '../image/reference.ts'

/** What a name stands for on a platform. */
export interface ResolvedImage {
  manifest: ImageManifest
  descriptor: Descriptor
  /** Exactly what the descriptor's digest is the digest of. */
  bytes: Uint8Array
  /** Digest of the index or manifest that the name itself stands for. */
  resolvedDigest: string
}

const MAX_INDEX_DEPTH = 3

/** Follow a name through its index, or indexes, to the image manifest for a platform. */
export async function resolveImage(
  client: RegistryClient,
  reference: Reference,
  platform: Platform,
  call: CallOptions = {},
): Promise<ResolvedImage> {
  const name = familiarName(reference)
  const first = await client.manifest(reference, call)
  let current: FetchedManifest = first
  for (let depth = 0; depth <= MAX_INDEX_DEPTH; depth++) {
    const { document, descriptor, bytes } = current
    if (document.kind === 'manifest') {
      assertImage(document, name)
      return { manifest: document, descriptor, bytes, resolvedDigest: first.descriptor.digest }
    }
    const expected = selectPlatform(document, platform, name)
    const next = await client.manifest(withDigest(reference, expected.digest), {
      ...call,
      expected,
    })
    const { platform: chosen } = expected
    current =
      chosen === undefined
        ? next
        : { ...next, descriptor: { ...next.descriptor, platform: chosen } }
  }
  throw new RegistryError('ERR_REGISTRY_BAD_MANIFEST', `${name} leads through too many indexes`)
}

/**
 * The manifest as OCI's, for the layout: other readers of a layout pass over Docker's media types.
 *
 * Config and layers are the same blobs under their OCI names; an OCI manifest is returned unchanged.
 */
export function toOciManifest(image: ResolvedImage): ResolvedImage {
  const { manifest, descriptor } = image
  if (manifest.mediaType === MEDIA_TYPES.ociManifest) return image
  const converted: ImageManifest = {
    ...manifest,
    mediaType: toOciType(manifest.mediaType),
    config: { ...manifest.config, mediaType: toOciType(manifest.config.mediaType) },
    layers: manifest.layers.map((layer) => ({ ...layer, mediaType: toOciType(layer.mediaType) })),
  }
  const { kind: _, ...document } = converted
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, ...document }))
  const mediaType = converted.mediaType
  return {
    ...image,
    manifest: converted,
    bytes,
    descriptor: { ...descriptor, mediaType, digest: digestOf(bytes), size: bytes.length },
  }
}
