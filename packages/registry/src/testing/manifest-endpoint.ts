import { digestOf, isDigest, parseDigest } from '../image/digest.ts'
import { type Answer, emptyAnswer, errorAnswer, failure } from './answer.ts'
import { bytesBody } from './body.ts'
import type { Call, Holdings } from './call.ts'
import { mayWrite, notModified } from './conditional.ts'
import { examineManifest, type ManifestFacts } from './manifest-rules.ts'
import type { RepositoryStore } from './repository-store.ts'
import { isTag } from './route.ts'

const DEFAULT_MAX_MANIFEST_BYTES = 4 * 1024 * 1024

/** GET, HEAD, PUT and DELETE of a manifest (distribution-spec end-3, end-7, end-9). */
export async function answerManifest(holdings: Holdings, call: Call): Promise<Answer> {
  if (call.method === 'PUT') return put(holdings, call)
  if (call.method === 'DELETE') return remove(holdings, call)
  return read(holdings, call)
}

/** As registries do, refuse to send what the client does not say it reads. */
function read({ repositories, options }: Holdings, call: Call): Answer {
  const found = repositories.manifest(call.repository, call.reference)
  if (found === undefined) return unknownManifest()
  const { mediaType, digest } = found.descriptor
  const { accept = mediaType } = call.headers
  const lenient = options.strictAccept === false && accept.includes('*/*')
  if (!accept.includes(mediaType) && !lenient) {
    return failure('MANIFEST_UNKNOWN', `the manifest is ${mediaType}, which is not accepted`)
  }
  const headers = {
    'content-type': mediaType,
    'docker-content-digest': digest,
    etag: `"${digest}"`,
  }
  if (notModified(call.headers, digest)) return emptyAnswer(304, headers)
  return { status: 200, headers, body: bytesBody(found.bytes) }
}

function remove({ repositories, options }: Holdings, { repository, reference }: Call): Answer {
  const { tags = true, manifests = true } = options.deletion ?? {}
  if (!isDigest(reference)) {
    if (!tags) return failure('UNSUPPORTED', 'tags are not deleted')
    return repositories.deleteTag(repository, reference) ? emptyAnswer(202) : unknownManifest()
  }
  if (!manifests) return failure('UNSUPPORTED', 'manifests are not deleted')
  return repositories.deleteManifest(repository, reference) ? emptyAnswer(202) : unknownManifest()
}

async function put({ repositories, options }: Holdings, call: Call): Promise<Answer> {
  const { repository, reference, headers } = call
  const bytes = await readAll(call.body, options.maxManifestBytes ?? DEFAULT_MAX_MANIFEST_BYTES)
  if (bytes === undefined) return errorAnswer(413, 'SIZE_INVALID', 'the manifest is too large')
  const target = targetOf(call, bytes)
  if ('status' in target) return target
  const facts = examineManifest(bytes, headers['content-type'])
  if ('status' in facts) return facts
  const missing = options.sparse ? undefined : missingPart(repositories, repository, facts)
  if (missing !== undefined) return failure('MANIFEST_BLOB_UNKNOWN', `${missing} is not there`)
  const present = repositories.manifest(repository, reference)?.descriptor.digest
  if (!mayWrite(headers, present)) return errorAnswer(412, 'DENIED', 'the condition does not hold')
  const { digest, tags } = target
  const descriptor = { mediaType: facts.mediaType, digest, size: bytes.length }
  repositories.putManifest(repository, { descriptor, bytes })
  for (const tag of tags) repositories.putTag(repository, tag, digest)
  return emptyAnswer(201, {
    location: `/v2/${repository}/manifests/${digest}`,
    'docker-content-digest': digest,
    ...(facts.subject === undefined || options.referrers === false
      ? {}
      : { 'oci-subject': facts.subject }),
    ...(isTag(reference) || tags.length === 0 ? {} : { 'oci-tag': tags.join(', ') }),
  })
}

/** What a manifest is to be known by. */
function targetOf(
  { reference, url }: Call,
  bytes: Uint8Array,
): { digest: string; tags: string[] } | Answer {
  if (isTag(reference)) return { digest: digestOf(bytes), tags: [reference] }
  if (!isDigest(reference)) return refuseReference(reference)
  if (digestOf(bytes, parseDigest(reference).algorithm) !== reference) {
    return failure('DIGEST_INVALID', 'provided digest did not match uploaded content')
  }
  const tags = url.searchParams.getAll('tag')
  const wrong = tags.find((tag) => !isTag(tag))
  if (wrong !== undefined) return failure('MANIFEST_INVALID', `"${wrong}" is not a tag`)
  return { digest: reference, tags }
}

function refuseReference(reference: string): Answer {
  return reference.includes(':')
    ? failure('DIGEST_INVALID', `"${reference}" is not a digest`)
    : failure('MANIFEST_INVALID', `"${reference}" is not a tag`)
}

/** The first thing that the manifest refers to and the repository does not have. */
function missingPart(
  repositories: RepositoryStore,
  repository: string,
  { blobs, manifests }: ManifestFacts,
): string | undefined {
  return (
    blobs.find((digest) => repositories.blob(repository, digest) === undefined) ??
    manifests.find(
      (digest) =>
        repositories.manifest(repository, digest) === undefined &&
        repositories.blob(repository, digest) === undefined,
    )
  )
}

/** All bytes, or undefined if there are more than `limit`. */
async function readAll(
  source: AsyncIterable<Uint8Array>,
  limit: number,
): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of source) {
    size += chunk.byteLength
    if (size <= limit) chunks.push(chunk)
  }
  return size <= limit ? Buffer.concat(chunks) : undefined
}

function unknownManifest(): Answer {
  return failure('MANIFEST_UNKNOWN', 'manifest unknown')
}
