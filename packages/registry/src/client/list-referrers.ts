import { header, readBody } from '../http/response.ts'
import type { HttpResponse } from '../http/transport.ts'
import type { Descriptor } from '../image/descriptor.ts'
import { badDocument, MAX_DOCUMENT_BYTES } from '../image/json-document.ts'
import { type ImageIndex, parseManifest } from '../image/manifest.ts'
import { essence, MEDIA_TYPES } from '../image/media-types.ts'
import { familiarName, type Reference } from '../image/reference.ts'
import type { Exchange } from './exchange.ts'
import { badPage, type Listing, listPages } from './pagination.ts'
import { readReferrersTag } from './referrers-tag.ts'
import type { CallOptions } from './registry-client.ts'
import { repositoryScope } from './scope.ts'

/** Options of {@link RegistryLists.referrers}. */
export interface ReferrersCallOptions extends CallOptions {
  /** Only those of this type. */
  artifactType?: string | undefined
}

/** What registries without the referrers API answer: 404 by the specification, others because they take the path for a bad one. */
const WITHOUT_API = [400, 404, 405, 406]

/**
 * `GET /v2/NAME/referrers/DIGEST`, page by page, or the index under the referrers tag where the
 * registry has no such API. `subject` has a digest.
 */
export async function* listReferrers(
  exchange: Exchange,
  subject: Reference,
  options: ReferrersCallOptions = {},
): AsyncGenerator<Descriptor, void, undefined> {
  const { artifactType } = options
  const result = yield* listPages(exchange, listing(subject, options))
  if (result !== 'absent') return
  const listed = await readReferrersTag(exchange, subject, options)
  const unique = new Map(listed.map((entry) => [entry.digest, entry])).values()
  for (const entry of unique) if (isWanted(entry, artifactType)) yield entry
}

/** Whether the registry itself keeps the lists of referrers. */
export async function hasReferrersApi(
  exchange: Exchange,
  subject: Reference,
  { signal, onRetry }: CallOptions = {},
): Promise<boolean> {
  const { request, path } = listing(subject, { signal, onRetry })
  const scopes = [repositoryScope(subject, 'pull,delete')]
  const response = await exchange({ ...request, scopes, path, method: 'GET', accept: WITHOUT_API })
  response.cancel()
  return response.status === 200
}

function listing(subject: Reference, options: ReferrersCallOptions): Listing<Descriptor> {
  const { registry, repository, digest = '' } = subject
  const { artifactType, signal, onRetry } = options
  const name = familiarName(subject)
  const what = `the referrers of ${name}`
  return {
    request: {
      registry,
      repository,
      headers: { accept: MEDIA_TYPES.ociIndex },
      scopes: [repositoryScope(subject, 'pull')],
      action: `cannot list what refers to ${name}`,
      reference: name,
      document: { limit: MAX_DOCUMENT_BYTES, what },
      signal,
      onRetry,
    },
    path: `referrers/${digest}`,
    query: artifactType === undefined ? {} : { artifactType },
    absent: WITHOUT_API,
    takesLast: false,
    keyOf: (entry) => entry.digest,
    read: (response) => readReferrers(response, what, artifactType),
  }
}

async function readReferrers(
  response: HttpResponse,
  what: string,
  artifactType: string | undefined,
): Promise<{ items: Descriptor[]; count: number }> {
  const index = await readIndex(response, what)
  const applied = (header(response, 'oci-filters-applied') ?? '').split(/\s*,\s*/)
  const filtered = applied.includes('artifactType')
  const items = index.manifests.filter((entry) => filtered || isWanted(entry, artifactType))
  return { items, count: index.manifests.length }
}

/** A list that is none is the registry's fault, and of nobody who pushed something. */
async function readIndex(response: HttpResponse, what: string): Promise<ImageIndex> {
  const bytes = await readBody(response, MAX_DOCUMENT_BYTES, what)
  try {
    const index = parseManifest(bytes, essence(header(response, 'content-type') ?? ''), what)
    if (index.kind !== 'index') throw badDocument(what, 'it is not an index')
    return index
  } catch (cause) {
    throw badPage(response, what, cause)
  }
}

function isWanted(entry: Descriptor, artifactType: string | undefined): boolean {
  return artifactType === undefined || entry.artifactType === artifactType
}
