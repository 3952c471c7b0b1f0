import { isDigest } from '../image/digest.ts'
import { type Answer, emptyAnswer, errorAnswer, failure } from './answer.ts'
import { type Call, type Holdings, hasBody } from './call.ts'
import type { UploadSession } from './uploads.ts'

/** What is said of every request for an upload (distribution-spec end-4 to end-6, end-11, end-13, end-14). */
export async function answerUpload(holdings: Holdings, call: Call): Promise<Answer> {
  if (call.method === 'POST' && call.reference === '') return begin(holdings, call)
  const session = holdings.uploads.find(call.repository, call.reference)
  if (session === undefined) return failure('BLOB_UPLOAD_UNKNOWN', 'no such upload')
  if (call.url.searchParams.get('state') !== session.state) {
    return failure('BLOB_UPLOAD_INVALID', 'the URL is not the one that Location said')
  }
  if (call.fault?.type === 'upload-lost') {
    await holdings.uploads.end(session)
    return failure('BLOB_UPLOAD_UNKNOWN', 'the upload was lost')
  }
  return session.inTurn(() => proceed(holdings, call, session))
}

async function proceed(holdings: Holdings, call: Call, session: UploadSession): Promise<Answer> {
  switch (call.method) {
    case 'GET':
      return emptyAnswer(204, progress(session))
    case 'PATCH':
      return takeChunk(holdings, call, session)
    case 'PUT':
      return finish(holdings, call, session)
    case 'DELETE':
      await holdings.uploads.end(session)
      return emptyAnswer(204)
    default:
      return failure('UNSUPPORTED', `${call.method} is nothing that an upload knows`)
  }
}

async function begin(holdings: Holdings, call: Call): Promise<Answer> {
  const { url, repository, fault } = call
  const mounted = mount(holdings, call)
  if (mounted !== undefined) return mounted
  const algorithm = url.searchParams.get('digest-algorithm') ?? 'sha256'
  if (algorithm !== 'sha256' && algorithm !== 'sha512') {
    return failure('DIGEST_INVALID', `${algorithm} is not supported`)
  }
  const digest = url.searchParams.get('digest')
  if (digest !== null && !isDigest(digest)) return badDigest(digest)
  const session = holdings.uploads.start(repository, algorithm)
  if (digest !== null && fault?.type !== 'chunked-only') return finish(holdings, call, session)
  const { chunkMinBytes } = holdings.options
  const origin = fault?.type === 'upload-elsewhere' ? elsewhere(call.storage, fault.host) : ''
  return emptyAnswer(202, {
    ...progress(session, origin),
    ...(chunkMinBytes === undefined ? {} : { 'oci-chunk-min-length': `${chunkMinBytes}` }),
  })
}

function mount({ repositories, options }: Holdings, call: Call): Answer | undefined {
  const digest = call.url.searchParams.get('mount')
  const from = call.url.searchParams.get('from')
  if (digest === null || call.fault?.type === 'mount-refused') return undefined
  const found =
    from === null
      ? options.automaticMount !== false && repositories.blobAnywhere(digest)
      : repositories.blob(from, digest) !== undefined
  if (!found) return undefined
  repositories.linkBlob(call.repository, digest)
  return created(call.repository, digest)
}

async function takeChunk(holdings: Holdings, call: Call, session: UploadSession): Promise<Answer> {
  const { chunkMinBytes = 0 } = holdings.options
  if (call.fault?.type === 'monolithic-only') {
    return failure('UNSUPPORTED', 'blobs are taken in one piece only')
  }
  const disorder = disorderOf(call, session)
  if (disorder !== undefined) return disorder
  if ((session.lastChunkBytes ?? chunkMinBytes) < chunkMinBytes) {
    return failure('SIZE_INVALID', `only the last chunk may have less than ${chunkMinBytes} bytes`)
  }
  session.lastChunkBytes = await session.append(call.body)
  return emptyAnswer(202, progress(session))
}

async function finish(holdings: Holdings, call: Call, session: UploadSession): Promise<Answer> {
  const digest = call.url.searchParams.get('digest') ?? ''
  if (!isDigest(digest)) return badDigest(digest)
  if (call.fault?.type === 'chunked-only' && hasBody(call)) {
    return failure('UNSUPPORTED', 'blobs are taken in chunks only')
  }
  const disorder = disorderOf(call, session)
  if (disorder !== undefined) return disorder
  await session.append(call.body)
  const matches = await session.matches(digest)
  if (matches) {
    await session.file.commit(digest)
    holdings.repositories.linkBlob(call.repository, digest)
  }
  await holdings.uploads.end(session)
  if (matches) return created(call.repository, digest)
  return failure('DIGEST_INVALID', 'provided digest did not match uploaded content')
}

/** What is wrong with a chunk's Content-Range; without one, the bytes are taken to follow. */
function disorderOf({ headers }: Call, session: UploadSession): Answer | undefined {
  const range = headers['content-range']
  if (range === undefined) return undefined
  const [, first, last] = /^(\d+)-(\d+)$/.exec(range) ?? []
  if (first === undefined || last === undefined) {
    return failure('BLOB_UPLOAD_INVALID', `Content-Range is not FIRST-LAST: ${range}`)
  }
  if (Number(first) !== session.file.size || Number(last) < Number(first)) {
    const message = `the next byte is ${session.file.size}`
    return errorAnswer(416, 'BLOB_UPLOAD_INVALID', message, progress(session))
  }
  const length = headers['content-length']
  if (length === undefined || Number(length) === Number(last) - Number(first) + 1) return undefined
  return failure('SIZE_INVALID', `Content-Length ${length} does not fit Content-Range ${range}`)
}

/** Where an upload goes on. That nothing came yet is said as the reference implementation does: `0-0`. */
function progress({ repository, id, state, file }: UploadSession, origin = '') {
  return {
    location: `${origin}/v2/${repository}/blobs/uploads/${id}?state=${state}`,
    range: `0-${Math.max(0, file.size - 1)}`,
    'docker-upload-uuid': id,
  }
}

function elsewhere(storage: string, host: string | undefined): string {
  const url = new URL(storage)
  if (host !== undefined) url.hostname = host
  return url.origin
}

function created(repository: string, digest: string): Answer {
  return emptyAnswer(201, {
    location: `/v2/${repository}/blobs/${digest}`,
    'docker-content-digest': digest,
  })
}

function badDigest(digest: string): Answer {
  return failure('DIGEST_INVALID', `"${digest}" is not a digest`)
}
