import { isRegistryError } from '../errors.ts'
import { header } from '../http/response.ts'
import type { HttpResponse } from '../http/transport.ts'
import type { Descriptor } from '../image/descriptor.ts'
import { digestOf, parseDigest, verifyBytes } from '../image/digest.ts'
import { badDocument, optionalString, parseJsonObject } from '../image/json-document.ts'
import { type ImageIndex, type ImageManifest, parseManifest } from '../image/manifest.ts'
import { isIndexType, isManifestType } from '../image/media-types.ts'
import { familiarName, type Reference, withDigest, withTag } from '../image/reference.ts'
import type { Exchange } from './exchange.ts'
import { headManifest } from './fetch-manifest.ts'
import type { ReferrersTags } from './referrers-tag.ts'
import type { CallOptions } from './registry-client.ts'
import { type OutgoingManifest, sendManifest } from './send-manifest.ts'

/** A manifest or index as it is to be stored, to the byte. */
export interface ManifestBytes {
  mediaType: string
  bytes: Uint8Array
}

/** Options of {@link RegistryWrites.putManifest}. */
export interface PutManifestOptions extends CallOptions {
  /** Tags besides the reference's own. */
  tags?: readonly string[] | undefined
}

/** What a registry has after {@link RegistryWrites.putManifest}. */
export interface PutManifestResult {
  descriptor: Descriptor
  /** Digest of the manifest that this one was listed as a referrer of. */
  subject?: string
  /** All that were set, the reference's own included. */
  tags: string[]
}

/** As many as every registry that knows the parameter should take. Source: distribution-spec, "Pushing Manifests". */
const TAGS_AT_ONCE = 10

/** `HEAD /v2/NAME/manifests/REFERENCE`, of the registry that a push would go to. */
export async function hasManifest(
  exchange: Exchange,
  reference: Reference,
  call: CallOptions = {},
): Promise<boolean> {
  try {
    const { mediaType } = await headManifest(exchange, reference, { ...call, beforeWrite: true })
    return mediaType !== '' // nothing is said where HEAD is not known
  } catch (error) {
    if (isRegistryError(error, 'ERR_REGISTRY_NOT_FOUND')) return false
    throw error
  }
}

/** Push a manifest whose blobs are there, under a tag, several tags, or none but its digest. */
export async function putManifest(
  exchange: Exchange,
  referrersTags: ReferrersTags,
  { reference, mediaType, bytes }: ManifestBytes & { reference: Reference },
  options: PutManifestOptions = {},
): Promise<PutManifestResult> {
  const what = `the manifest of ${familiarName(reference)}`
  const document = checkManifest(bytes, mediaType, what)
  const digest = reference.digest ?? digestOf(bytes)
  if (reference.digest !== undefined) verifyBytes(bytes, { digest, size: bytes.byteLength })
  const tags = tagsOf(reference, options.tags ?? [])
  const manifest = { mediaType, bytes, digest }
  const answer = await putWithTags(exchange, reference, { ...manifest, tags }, options)
  const descriptor = { mediaType, digest, size: bytes.byteLength }
  const { subject } = document ?? {}
  if (document === undefined || subject === undefined) return { descriptor, tags }
  if (header(answer, 'oci-subject') !== subject.digest) {
    const entry = referrerEntry(descriptor, document)
    await referrersTags.add(withDigest(reference, subject.digest), entry, options)
  }
  return { descriptor, tags, subject: subject.digest }
}

/**
 * A manifest that is one thing by its body and another by its type would hide content (CVE-2021-41190).
 * Types that this package does not know are pushed as they are; nothing is then said of their subject.
 */
function checkManifest(
  bytes: Uint8Array,
  mediaType: string,
  what: string,
): ImageManifest | ImageIndex | undefined {
  const own = optionalString(parseJsonObject(bytes, what), 'mediaType', what)
  if (own !== undefined && own !== mediaType) {
    throw badDocument(what, `it calls itself ${own} but is to be sent as ${mediaType}`)
  }
  const known = isIndexType(mediaType) || isManifestType(mediaType)
  return known ? parseManifest(bytes, mediaType, what) : undefined
}

function tagsOf(reference: Reference, more: readonly string[]): string[] {
  const own = reference.tag === undefined ? [] : [reference.tag]
  const tags = new Set([...own, ...more])
  for (const tag of tags) withTag(reference, tag) // throws unless it is one
  return [...tags]
}

/** One request for a single tag; else one by digest that asks for the tags, and one for each tag that it did not set. */
async function putWithTags(
  exchange: Exchange,
  reference: Reference,
  { tags, ...manifest }: OutgoingManifest & { tags: string[] },
  call: CallOptions,
): Promise<HttpResponse> {
  const [only, ...others] = tags
  const named = parseDigest(manifest.digest).algorithm === 'sha256'
  if (only !== undefined && others.length === 0 && named) {
    return sendManifest(exchange, withTag(reference, only), manifest, call)
  }
  const byDigest = withDigest(reference, manifest.digest)
  const answer = await putAsking(exchange, byDigest, { ...manifest, askedTags: tags }, call)
  const set = new Set(
    [answer.headers['oci-tag'] ?? []].flat().flatMap((list) => list.split(/\s*,\s*/)),
  )
  for (const tag of tags) {
    if (!set.has(tag)) await sendManifest(exchange, withTag(reference, tag), manifest, call)
  }
  return answer
}

async function putAsking(
  exchange: Exchange,
  byDigest: Reference,
  manifest: OutgoingManifest,
  call: CallOptions,
): Promise<HttpResponse> {
  const { askedTags = [], ...plain } = manifest
  try {
    const few = askedTags.slice(0, TAGS_AT_ONCE)
    return await sendManifest(exchange, byDigest, { ...plain, askedTags: few }, call)
  } catch (error) {
    const refused = isRegistryError(error) && [400, 414, 431].includes(error.status ?? 0)
    if (!refused || askedTags.length === 0) throw error
    return sendManifest(exchange, byDigest, plain, call)
  }
}

/** How a manifest is listed among referrers. Source: distribution-spec, "Pushing Manifests with Subject". */
function referrerEntry(descriptor: Descriptor, document: ImageManifest | ImageIndex): Descriptor {
  const { annotations } = document
  const config = document.kind === 'manifest' ? document.config.mediaType : undefined
  const artifactType = document.artifactType || config
  return {
    ...descriptor,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(annotations === undefined ? {} : { annotations }),
  }
}
