import { RegistryError } from '../errors.ts'
import { header, readBody } from '../http/response.ts'
import type { Descriptor } from '../image/descriptor.ts'
import { digestOf, isDigest, parseDigest, verifyBytes } from '../image/digest.ts'
import { MAX_DOCUMENT_BYTES } from '../image/json-document.ts'
import { type ImageIndex, type ImageManifest, parseManifest } from '../image/manifest.ts'
import { essence, MANIFEST_ACCEPT } from '../image/media-types.ts'
import { assertReference, familiarName, type Reference } from '../image/reference.ts'
import type { Exchange } from './exchange.ts'
import type { CallOptions } from './registry-client.ts'

/** What a name stands for, as far as the registry says without sending it. */
export interface ManifestHead {
  mediaType: string
  /** Undefined if the registry does not say. */
  digest?: string
  /** In bytes; undefined if the registry does not say. */
  size?: number
}

/** How a manifest is asked for if what is written next hangs on it, as in an ApiRequest. */
interface BeforeWrite {
  scopes?: readonly string[] | undefined
  beforeWrite?: boolean | undefined
}

/** A manifest or index, verified. */
export interface FetchedManifest {
  descriptor: Descriptor
  /** Exactly what the digest is the digest of. */
  bytes: Uint8Array
  document: ImageManifest | ImageIndex
}

/** `HEAD /v2/NAME/manifests/REFERENCE`; a registry that knows no HEAD says nothing, which is allowed. */
export async function headManifest(
  exchange: Exchange,
  reference: Reference,
  call: CallOptions & BeforeWrite = {},
): Promise<ManifestHead> {
  const request = requestFor(reference, call)
  const response = await exchange({ ...request, method: 'HEAD', accept: [405] })
  response.cancel()
  const digest = header(response, 'docker-content-digest')
  const length = header(response, 'content-length')
  const size = length !== undefined && /^\d+$/.test(length) ? Number(length) : undefined
  return {
    mediaType: essence(header(response, 'content-type') ?? ''),
    ...(isDigest(digest) ? { digest } : {}),
    ...(size === undefined ? {} : { size }),
  }
}

/** `GET /v2/NAME/manifests/REFERENCE`. */
export async function fetchManifest(
  exchange: Exchange,
  reference: Reference,
  call: CallOptions & BeforeWrite & { expected?: Descriptor } = {},
): Promise<FetchedManifest> {
  const what = `the manifest of ${familiarName(reference)}`
  const document = { limit: MAX_DOCUMENT_BYTES, what }
  const response = await exchange({ ...requestFor(reference, call), method: 'GET', document })
  const bytes = await readBody(response, MAX_DOCUMENT_BYTES, what)
  const digest = checkDigest(bytes, reference, header(response, 'docker-content-digest'), what)
  if (call.expected !== undefined) verifyBytes(bytes, call.expected)
  const type = essence(header(response, 'content-type') ?? '')
  const manifest = parseManifest(bytes, type, what)
  return {
    descriptor: { mediaType: manifest.mediaType, digest, size: bytes.length },
    bytes,
    document: manifest,
  }
}

function requestFor(
  reference: Reference,
  { signal, onRetry, scopes, beforeWrite }: CallOptions & BeforeWrite,
) {
  assertReference(reference)
  const { registry, repository, tag, digest } = reference
  const name = familiarName(reference)
  return {
    registry,
    repository,
    path: `manifests/${digest ?? tag ?? 'latest'}`,
    headers: { accept: MANIFEST_ACCEPT },
    scopes,
    beforeWrite,
    action: beforeWrite ? `cannot ask for ${name}` : `cannot get the image ${name}`,
    reference: name,
    signal,
    onRetry,
  }
}

/** The bytes' own digest, which must be the one that was asked for and the one that the registry named. */
function checkDigest(
  bytes: Uint8Array,
  reference: Reference,
  announced: string | undefined,
  what: string,
): string {
  for (const expected of [reference.digest, announced]) {
    if (!isDigest(expected)) continue
    const actual = digestOf(bytes, parseDigest(expected).algorithm)
    if (actual === expected) continue
    throw new RegistryError(
      'ERR_REGISTRY_DIGEST_MISMATCH',
      `${what} is damaged: it hashes to ${actual} instead of ${expected}`,
      {
        expected,
        actual,
        hint: 'try again; if it stays so, the registry or a proxy alters what it serves',
      },
    )
  }
  return reference.digest ?? digestOf(bytes)
}
