import { setTimeout as sleep } from 'node:timers/promises'
import { abortedError } from '../abort.ts'
import { isRegistryError, RegistryError } from '../errors.ts'
import { header, readBody } from '../http/response.ts'
import { type Descriptor, parseDescriptor } from '../image/descriptor.ts'
import { digestOf, parseDigest } from '../image/digest.ts'
import {
  checkDocumentSize,
  isObject,
  type JsonObject,
  MAX_DOCUMENT_BYTES,
  parseJsonObject,
} from '../image/json-document.ts'
import { parseManifest } from '../image/manifest.ts'
import { essence, MANIFEST_ACCEPT, MEDIA_TYPES } from '../image/media-types.ts'
import { canonicalName, familiarName, type Reference, withTag } from '../image/reference.ts'
import type { Exchange } from './exchange.ts'
import type { CallOptions } from './registry-client.ts'
import { repositoryScope } from './scope.ts'
import { sendManifest } from './send-manifest.ts'

/** Keeps the list of a manifest's referrers where the registry does not: in an index under a tag made from its digest. */
export interface ReferrersTags {
  /** `subject` has a digest. */
  add(subject: Reference, entry: Descriptor, call?: CallOptions): Promise<void>
  remove(subject: Reference, digest: string, call?: CallOptions): Promise<void>
}

interface StoredIndex {
  document: JsonObject
  entries: unknown[]
  etag: string | undefined
}

/** The new entries, or undefined if the old ones are right. */
type Change = (entries: unknown[]) => unknown[] | undefined

/** How often somebody else may have written meanwhile. */
const MAX_WRITES = 8
const PAUSE_MS = 200

/** The tag of a manifest's referrers: `sha256-…`. Source: distribution-spec, "Referrers Tag Schema". */
export function referrersTag(digest: string): string {
  const { algorithm, hex } = parseDigest(digest)
  return `${algorithm}-${hex.slice(0, 64)}`
}

/** Changes of the same list made by the same client wait for one another. */
export function createReferrersTags(exchange: Exchange): ReferrersTags {
  const queues = new Map<string, Promise<unknown>>()

  async function change(subject: Reference, call: CallOptions, apply: Change): Promise<void> {
    const reference = withTag(subject, referrersTag(subject.digest ?? ''))
    const key = canonicalName(reference)
    const turn = (queues.get(key) ?? Promise.resolve()).then(() =>
      changeIndex(exchange, reference, apply, call),
    )
    const settled = turn.catch(() => {})
    queues.set(key, settled)
    await turn.finally(() => {
      if (queues.get(key) === settled) queues.delete(key)
    })
  }

  return {
    add: (subject, entry, call = {}) =>
      change(subject, call, (entries) =>
        entries.some((found) => digestIn(found) === entry.digest) ? undefined : [...entries, entry],
      ),
    remove: (subject, digest, call = {}) =>
      change(subject, call, (entries) => {
        const left = entries.filter((found) => digestIn(found) !== digest)
        return left.length === entries.length ? undefined : left
      }),
  }
}

/** The referrers listed under the tag; none if there is no such tag, or if it is no index. */
export async function readReferrersTag(
  exchange: Exchange,
  subject: Reference,
  call: CallOptions = {},
): Promise<Descriptor[]> {
  const reference = withTag(subject, referrersTag(subject.digest ?? ''))
  try {
    const { entries = [] } = (await readIndex(exchange, reference, 'pull', call)) ?? {}
    return entries.map((entry) => parseDescriptor(entry, familiarName(reference)))
  } catch (error) {
    if (isRegistryError(error, 'ERR_REGISTRY_BAD_MANIFEST')) return []
    throw error
  }
}

/**
 * Read, change, write, and read again: registries that heed `If-Match` refuse a write over somebody
 * else's, and from others it shows only afterwards.
 */
async function changeIndex(
  exchange: Exchange,
  reference: Reference,
  apply: Change,
  call: CallOptions,
): Promise<void> {
  for (let writes = 0; ; writes++) {
    const stored = await readIndex(exchange, reference, 'pull,push', call)
    const manifests = apply(stored?.entries ?? [])
    if (manifests === undefined) return
    if (writes >= MAX_WRITES) throw tooBusy(reference)
    if (writes > 0) await pause(call.signal)
    try {
      await writeIndex(exchange, reference, { stored, manifests }, call)
    } catch (error) {
      if (!isRegistryError(error, 'ERR_REGISTRY_CONFLICT')) throw error
    }
  }
}

async function writeIndex(
  exchange: Exchange,
  reference: Reference,
  { stored, manifests }: { stored: StoredIndex | undefined; manifests: unknown[] },
  call: CallOptions,
): Promise<void> {
  const mediaType = MEDIA_TYPES.ociIndex
  const document = { ...stored?.document, schemaVersion: 2, mediaType, manifests }
  const bytes = Buffer.from(JSON.stringify(document))
  checkDocumentSize(bytes.byteLength, `the list of referrers ${familiarName(reference)}`)
  const digest = digestOf(bytes)
  await sendManifest(exchange, reference, { mediaType, bytes, digest, etag: stored?.etag }, call)
}

/** Undefined if there is none. Throws `ERR_REGISTRY_BAD_MANIFEST` if the tag is used for something else. */
async function readIndex(
  exchange: Exchange,
  reference: Reference,
  access: 'pull' | 'pull,push',
  call: CallOptions,
): Promise<StoredIndex | undefined> {
  const { registry, repository, tag } = reference
  const what = `the list of referrers ${familiarName(reference)}`
  const response = await exchange({
    registry,
    repository,
    path: `manifests/${tag}`,
    method: 'GET',
    headers: { accept: MANIFEST_ACCEPT },
    scopes: [repositoryScope(reference, access)],
    action: `cannot read ${what}`,
    reference: familiarName(reference),
    signal: call.signal,
    onRetry: call.onRetry,
    accept: [404],
    document: { limit: MAX_DOCUMENT_BYTES, what },
  })
  if (response.status === 404) {
    response.cancel()
    return undefined
  }
  const bytes = await readBody(response, MAX_DOCUMENT_BYTES, what)
  parseManifest(bytes, essence(header(response, 'content-type') ?? ''), what)
  const document = parseJsonObject(bytes, what)
  const { manifests } = document
  if (!Array.isArray(manifests)) throw notAnIndex(what)
  return { document, entries: manifests, etag: header(response, 'etag') }
}

function digestIn(entry: unknown): unknown {
  return isObject(entry) ? entry['digest'] : undefined
}

async function pause(signal: AbortSignal | undefined): Promise<void> {
  try {
    const options = signal === undefined ? {} : { signal }
    await sleep(PAUSE_MS * Math.random(), undefined, options)
  } catch (cause) {
    throw signal?.aborted ? abortedError(signal) : cause
  }
}

function notAnIndex(what: string): RegistryError {
  const message = `${what} is used for something else: it is not an index`
  const hint = 'the tag is reserved for such lists; remove it if nobody needs it'
  return new RegistryError('ERR_REGISTRY_BAD_MANIFEST', message, { hint })
}

function tooBusy(reference: Reference): RegistryError {
  const name = familiarName(reference)
  const message = `cannot write the list of referrers ${name}: somebody else writes it all the time`
  return new RegistryError('ERR_REGISTRY_CONFLICT', message, {
    reference: name,
    hint: 'try again later; what was pushed is there, only not listed',
  })
}
