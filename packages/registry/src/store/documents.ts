import type { BlobSource } from '../client/blob-source.ts'
import { RegistryError } from '../errors.ts'
import type { Descriptor } from '../image/descriptor.ts'
import { digestOf, isDigest, verifyStream } from '../image/digest.ts'
import {
  checkDocumentSize,
  isObject,
  type JsonObject,
  parseJsonObject,
} from '../image/json-document.ts'
import { isDocumentType } from '../image/links.ts'
import { parseManifest } from '../image/manifest.ts'
import type { ContentName, ContentSource } from './content-store.ts'

/** All bytes of a source of at most 4 MiB, verified. */
export async function readSource(source: BlobSource, signal?: AbortSignal): Promise<Uint8Array> {
  const { descriptor } = source
  checkDocumentSize(descriptor.size, descriptor.digest)
  const chunks: Uint8Array[] = []
  for await (const chunk of verifyStream(source.open(0, signal), descriptor)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** Content of a store as something that can be put into another one. */
export function sourceOf(store: ContentSource, descriptor: Descriptor): BlobSource {
  return { descriptor, open: (offset, signal) => store.open(descriptor, offset, signal) }
}

/** The descriptor of a manifest or index by its own bytes; undefined if they are neither. */
export function describeDocument(
  bytes: Uint8Array,
  digest = digestOf(bytes),
): Descriptor | undefined {
  try {
    return { mediaType: parseManifest(bytes, undefined).mediaType, digest, size: bytes.byteLength }
  } catch {
    return undefined
  }
}

/**
 * What a list of referrers says of a manifest: its subject's digest, and its descriptor with
 * `artifactType` and `annotations`. Undefined if it has no subject.
 * Source: distribution-spec, "Listing Referrers".
 */
export function referrerOf(
  bytes: Uint8Array,
  descriptor: Descriptor,
): { subject: string; descriptor: Descriptor } | undefined {
  if (!isDocumentType(descriptor.mediaType)) return undefined
  const document = parseJsonObject(bytes, descriptor.digest)
  const subject = isObject(document['subject']) ? document['subject']['digest'] : undefined
  if (!isDigest(subject)) return undefined
  const { mediaType, digest, size } = descriptor
  const artifactType = artifactTypeOf(document)
  const annotations = document['annotations']
  return {
    subject,
    descriptor: {
      mediaType,
      digest,
      size,
      ...(artifactType === undefined ? {} : { artifactType }),
      ...(isStringMap(annotations) ? { annotations } : {}),
    },
  }
}

/** Its own, or the type of its configuration. */
function artifactTypeOf(document: JsonObject): string | undefined {
  const { artifactType, config } = document
  if (typeof artifactType === 'string' && artifactType !== '') return artifactType
  const type = isObject(config) ? config['mediaType'] : undefined
  return typeof type === 'string' ? type : undefined
}

/** The error for content that a store does not have. */
export function notStored(what: string, store: string): RegistryError {
  return new RegistryError('ERR_REGISTRY_NOT_FOUND', `${what} is not in ${store}`)
}

/** The digest that a name is, or that it ends with. */
export function digestInName(name: ContentName): string | undefined {
  if (typeof name !== 'string') return name.digest
  const digest = name.slice(name.indexOf('@') + 1)
  return isDigest(digest) ? digest : undefined
}

function isStringMap(value: unknown): value is Record<string, string> {
  return isObject(value) && Object.values(value).every((item) => typeof item === 'string')
}
