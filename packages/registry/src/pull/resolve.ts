import type { FetchedManifest } from '../client/fetch-manifest.ts'
import type { CallOptions, RegistryClient } from '../client/registry-client.ts'
import { isRegistryError, RegistryError } from '../errors.ts'
import type { Descriptor } from '../image/descriptor.ts'
import { digestOf } from '../image/digest.ts'
import { assertImage, type ImageIndex, type ImageManifest } from '../image/manifest.ts'
import { isIndexType, MEDIA_TYPES, toOciType } from '../image/media-types.ts'
import { noPlatform, type Platform, selectPlatform } from '../image/platform.ts'
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
/** More nested indexes that do not say what they are for are not searched. */
const MAX_NESTED = 16

interface Search {
  client: RegistryClient
  reference: Reference
  platform: Platform
  call: CallOptions
}

/** Follow a name through its index, or indexes, to the image manifest for a platform. */
export async function resolveImage(
  client: RegistryClient,
  reference: Reference,
  platform: Platform,
  call: CallOptions = {},
): Promise<ResolvedImage> {
  const first = await client.manifest(reference, call)
  const { document, descriptor, bytes } = await descend(first, {
    client,
    reference,
    platform,
    call,
  })
  assertImage(document, familiarName(reference))
  return { manifest: document, descriptor, bytes, resolvedDigest: first.descriptor.digest }
}

type FetchedImage = FetchedManifest & { document: ImageManifest }

async function descend(
  { document, ...current }: FetchedManifest,
  search: Search,
  depth = 0,
): Promise<FetchedImage> {
  if (document.kind === 'manifest') return { ...current, document }
  const name = familiarName(search.reference)
  if (depth > MAX_INDEX_DEPTH) {
    throw new RegistryError('ERR_REGISTRY_BAD_MANIFEST', `${name} leads through too many indexes`)
  }
  let chosen: Descriptor
  try {
    chosen = selectPlatform(document, search.platform, name)
  } catch (error) {
    if (!isRegistryError(error, 'ERR_REGISTRY_NO_PLATFORM')) throw error
    return descendInto(document, search, depth, error)
  }
  return descend(await fetch(chosen, search), search, depth + 1)
}

/** An index within an index need not say what it is for: then it has to be looked into. */
async function descendInto(
  { manifests }: ImageIndex,
  search: Search,
  depth: number,
  failure: RegistryError,
): Promise<FetchedImage> {
  const available = [failure.available ?? []]
  const nested = manifests.filter((entry) => isIndexType(entry.mediaType) && !entry.platform)
  for (const entry of nested.slice(0, MAX_NESTED)) {
    try {
      return await descend(await fetch(entry, search), search, depth + 1)
    } catch (error) {
      if (!isRegistryError(error, 'ERR_REGISTRY_NO_PLATFORM')) throw error
      available.push(error.available ?? [])
    }
  }
  if (nested.length === 0) throw failure
  const platforms = available.flat().map((text) => {
    const [os = '', architecture = '', variant = ''] = text.split('/')
    return { platform: { os, architecture, variant } }
  })
  throw noPlatform(familiarName(search.reference), search.platform, platforms)
}

/** What an index says of the platform is kept: the manifest itself does not say it. */
async function fetch(expected: Descriptor, search: Search): Promise<FetchedManifest> {
  const { client, reference, call } = search
  const found = await client.manifest(withDigest(reference, expected.digest), { ...call, expected })
  const { platform } = expected
  return platform === undefined
    ? found
    : { ...found, descriptor: { ...found.descriptor, platform } }
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
