import type { Descriptor } from '../image/descriptor.ts'
import { digestOf, parseDigest } from '../image/digest.ts'
import { parseImageConfig } from '../image/image-config.ts'
import { parseJsonObject } from '../image/json-document.ts'
import { type ImageIndex, type ImageManifest, parseManifest } from '../image/manifest.ts'
import { isConfigType } from '../image/media-types.ts'
import { matchesPlatform, noPlatform, type Platform, selectPlatform } from '../image/platform.ts'

/** A document and what it is. */
export interface ReadDocument {
  descriptor: Descriptor
  bytes: Uint8Array
}

/** What {@link choosePlatform} and {@link choosePlatforms} need to look below an index. */
export interface PlatformContext {
  /** For messages: the name. */
  what: string
  read(descriptor: Descriptor): Promise<Uint8Array>
}

const MAX_INDEX_DEPTH = 4

/** The one manifest for a platform, below an index, or below several. Throws `ERR_REGISTRY_NO_PLATFORM`. */
export async function choosePlatform(
  root: ReadDocument,
  platform: Platform,
  context: PlatformContext,
): Promise<ReadDocument> {
  let current = root
  for (let depth = 0; depth < MAX_INDEX_DEPTH; depth++) {
    const document = parse(current, context)
    if (document.kind === 'manifest') {
      await checkPlatform(document, current.descriptor, [platform], context)
      return current
    }
    const descriptor = selectPlatform(document, platform, context.what)
    current = { descriptor, bytes: await context.read(descriptor) }
  }
  throw noPlatform(context.what, platform, [])
}

/**
 * The index with nothing but what is for the platforms: the best manifest for each, and the
 * attestations about these. Unchanged, with its digest, if that is everything.
 * Throws `ERR_REGISTRY_NO_PLATFORM`.
 */
export async function choosePlatforms(
  root: ReadDocument,
  platforms: readonly Platform[],
  context: PlatformContext,
): Promise<ReadDocument> {
  const document = parse(root, context)
  if (document.kind === 'manifest') {
    await checkPlatform(document, root.descriptor, platforms, context)
    return root
  }
  const chosen = new Set(
    platforms.map((platform) => selectPlatform(document, platform, context.what).digest),
  )
  const keeps = ({ digest, annotations }: Descriptor) =>
    chosen.has(digest) || chosen.has(annotations?.[ATTESTED] ?? '')
  if (document.manifests.every(keeps)) return root
  const raw = parseJsonObject(root.bytes, context.what)
  const manifests = document.manifests.flatMap((entry, i) =>
    keeps(entry) && Array.isArray(raw['manifests']) ? [raw['manifests'][i]] : [],
  )
  return withBytes(root.descriptor, { ...raw, manifests })
}

/** Which manifest a BuildKit attestation is about. */
const ATTESTED = 'vnd.docker.reference.digest'

/** The descriptor of a changed document: same type, other bytes. */
export function withBytes(descriptor: Descriptor, document: object): ReadDocument {
  const bytes = Buffer.from(JSON.stringify(document))
  const digest = digestOf(bytes, parseDigest(descriptor.digest).algorithm)
  return { descriptor: { ...descriptor, digest, size: bytes.length }, bytes }
}

function parse(
  { descriptor, bytes }: ReadDocument,
  { what }: PlatformContext,
): ImageManifest | ImageIndex {
  return parseManifest(bytes, descriptor.mediaType, what)
}

/** A manifest that an index has not described says in its configuration what it is for. */
async function checkPlatform(
  manifest: ImageManifest,
  descriptor: Descriptor,
  platforms: readonly Platform[],
  { what, read }: PlatformContext,
): Promise<void> {
  if (!isConfigType(manifest.config.mediaType)) return
  const has = descriptor.platform ?? platformIn(await read(manifest.config))
  const [wanted] = platforms
  if (wanted === undefined || has.architecture === '') return
  if (!platforms.some((platform) => matchesPlatform(platform, has))) {
    throw noPlatform(what, wanted, [{ platform: has }])
  }
}

function platformIn(configBytes: Uint8Array): Platform {
  const { os, architecture, variant } = parseImageConfig(configBytes)
  return { os, architecture, ...(variant === undefined ? {} : { variant }) }
}
