import { isRegistryError, RegistryError } from '../errors.ts'
import { header } from '../http/response.ts'
import { pauseBeforeRetry, type RetryPolicy } from '../http/retry.ts'
import type { Descriptor } from '../image/descriptor.ts'
import { parseDigest } from '../image/digest.ts'
import { type Reference, repositoryName } from '../image/reference.ts'
import type { BlobSource } from './blob-source.ts'
import { CheckedSource } from './checked-source.ts'
import type { Exchange } from './exchange.ts'
import type { CallOptions } from './registry-client.ts'
import { repositoryScope } from './scope.ts'
import {
  beginUpload,
  cancelUpload,
  finishUpload,
  mountBlob,
  postBlob,
  refreshUpload,
  sendChunk,
  type UploadSession,
  type UploadTarget,
} from './upload-session.ts'

/** How a blob came to be in a repository: it was there, was linked from another one, or was sent. */
export type PushOutcome = 'exists' | 'mounted' | 'uploaded'

/** Options of {@link RegistryWrites.pushBlob}. */
export interface PushBlobOptions extends CallOptions {
  /**
   * Repositories of the same registry that may have the blob, the likeliest first; a registry that
   * does so links it from there. Empty: from wherever the registry has it.
   */
  mountFrom?: readonly string[] | undefined
  /**
   * Send pieces of this many bytes, each a request, rather than all at once: what was sent stays sent
   * when the connection breaks. More if the registry demands it.
   */
  chunkBytes?: number | undefined
  /** Send the blob with the first request, for small ones and for registries that want it so. */
  singlePost?: boolean | undefined
  /** Called with the bytes that are sent by now, at most every 100 ms and at the end; it falls when bytes are sent again. */
  onProgress?: ((sentBytes: number) => void) | undefined
}

interface Upload extends PushBlobOptions, UploadTarget {
  source: CheckedSource
  policy: RetryPolicy | undefined
}

/** A transfer that came this much further before it broke was good: count attempts anew. */
const GOOD_PROGRESS_BYTES = 1024 * 1024
/** For registries behind a proxy that takes no more at a time, though they do not say so. */
const CHUNK_AFTER_413_BYTES = 32 * 1024 * 1024
const PROGRESS_INTERVAL_MS = 100

/** `HEAD /v2/NAME/blobs/DIGEST`. */
export async function hasBlob(
  exchange: Exchange,
  reference: Reference,
  descriptor: Pick<Descriptor, 'digest' | 'size'>,
  call: CallOptions & { scopes?: readonly string[] } = {},
): Promise<boolean> {
  const { registry, repository } = reference
  const { digest, size } = descriptor
  parseDigest(digest)
  const { scopes, signal, onRetry } = call
  const name = repositoryName(reference)
  const response = await exchange({
    registry,
    repository,
    path: `blobs/${digest}`,
    method: 'HEAD',
    scopes,
    action: `cannot ask for ${digest} in ${name}`,
    reference: name,
    signal,
    onRetry,
    accept: [404, 405],
  })
  response.cancel()
  const length = header(response, 'content-length')
  return response.status === 200 && (length === undefined || length === String(size))
}

/** Bring a blob into a repository by whatever way is shortest. */
export async function pushBlob(
  exchange: Exchange,
  reference: Reference,
  source: BlobSource,
  options: PushBlobOptions & { policy?: RetryPolicy | undefined } = {},
): Promise<PushOutcome> {
  const { descriptor } = source
  const checked = new CheckedSource(source)
  const onProgress = throttled(descriptor.size, options.onProgress)
  const { policy } = options
  const upload = {
    ...options,
    exchange,
    reference,
    descriptor,
    source: checked,
    onProgress,
    policy,
  }
  if (await isThere(upload)) return 'exists'
  return uploadBlob(upload)
}

function isThere({ exchange, reference, descriptor, signal, onRetry }: Upload): Promise<boolean> {
  const scopes = [repositoryScope(reference, 'pull', 'push')]
  return hasBlob(exchange, reference, descriptor, { scopes, signal, onRetry })
}

/** Send until the registry has all of it, going on where a broken transfer stopped if the registry knows. */
async function uploadBlob(given: Upload): Promise<PushOutcome> {
  let upload = given
  let session: UploadSession | undefined
  for (let attempt = 1; ; attempt++) {
    try {
      if (attempt > 1 && session !== undefined) {
        const before: UploadSession = session
        session = await resume(upload, before)
        if (session === undefined && (await isThere(upload))) return 'uploaded' // only the answer was lost
        if ((session?.offset ?? 0) - before.offset >= GOOD_PROGRESS_BYTES) attempt = 1
      }
      const begun: UploadSession | PushOutcome = session ?? (await begin(upload))
      if (typeof begun === 'string') return begun
      session = begun
      upload = { ...upload, mountFrom: undefined, singlePost: false }
      await transfer(upload, session)
      return 'uploaded'
    } catch (error) {
      const smaller = afterRefusal(upload, error)
      if (smaller === undefined) await pauseOrGiveUp(error, attempt, { upload, session })
      else {
        await cancelUpload(upload, session)
        session = undefined
        upload = smaller
      }
    }
  }
}

async function pauseOrGiveUp(
  error: unknown,
  attempt: number,
  { upload, session }: { upload: Upload; session: UploadSession | undefined },
): Promise<void> {
  const { policy, signal, onRetry } = upload
  try {
    await pauseBeforeRetry(error, attempt, { policy, signal, onRetry })
  } catch (final) {
    await cancelUpload(upload, session)
    throw final
  }
}

/** The session as the registry sees it, if it still has it and its offset can be. */
async function resume(upload: Upload, before: UploadSession): Promise<UploadSession | undefined> {
  const session = await refreshUpload(upload, before)
  if (session !== undefined && session.offset <= upload.source.seen) return session
  await cancelUpload(upload, before)
  return undefined
}

/** The same upload in chunks, if the registry refused to take it at once. */
function afterRefusal(upload: Upload, error: unknown): Upload | undefined {
  const refused = isRegistryError(error, 'ERR_REGISTRY_TOO_LARGE') && error.status === 413
  const smaller = upload.descriptor.size > CHUNK_AFTER_413_BYTES
  if (!refused || !smaller || upload.chunkBytes !== undefined) return undefined
  return { ...upload, chunkBytes: CHUNK_AFTER_413_BYTES }
}

async function begin(upload: Upload): Promise<UploadSession | PushOutcome> {
  const { source, descriptor, mountFrom, singlePost, signal, onProgress } = upload
  if (mountFrom !== undefined) {
    const mounted = await mount(upload, mountFrom)
    if (mounted !== undefined) return mounted
  }
  if (!singlePost) return beginUpload(upload)
  const body = source.body(0, descriptor.size, { signal, onSent: onProgress })
  return (await postBlob(upload, body)) ?? 'uploaded'
}

/** Undefined if no repository will do, and no session was begun instead. */
async function mount(
  upload: Upload,
  mountFrom: readonly string[],
): Promise<UploadSession | PushOutcome | undefined> {
  const others = mountFrom.filter((name) => name !== upload.reference.repository)
  const candidates = mountFrom.length === 0 ? [undefined] : others
  let session: UploadSession | undefined
  for (const from of candidates) {
    try {
      const begun = await mountBlob(upload, from)
      await cancelUpload(upload, session)
      if (begun === undefined) return 'mounted'
      session = begun
    } catch (error) {
      if (!isRefusal(error)) throw error
    }
  }
  return session
}

/** A source that may not be read, or a registry that mounts nothing, is no reason not to upload. */
function isRefusal(error: unknown): boolean {
  return isRegistryError(error) && error.temporary !== true && error.status !== undefined
}

async function transfer(upload: Upload, session: UploadSession): Promise<void> {
  const { source, descriptor, chunkBytes, signal, onProgress } = upload
  const { size } = descriptor
  const bodyUpTo = (end: number) => source.body(session.offset, end, { signal, onSent: onProgress })
  if (session.offset === 0 && (chunkBytes === undefined || size <= chunkBytes)) {
    return finish(upload, session, bodyUpTo(size))
  }
  const step = Math.max(chunkBytes ?? size, session.minChunkBytes, 1)
  while (session.offset < size) {
    const { offset } = session
    const end = Math.min(offset + step, size)
    await sendChunk(upload, session, { body: bodyUpTo(end), end })
    if (session.offset <= offset || session.offset > end) throw wrongRange(session, offset, end)
  }
  return finish(upload, session)
}

async function finish(
  upload: Upload,
  session: UploadSession,
  body?: ReturnType<CheckedSource['body']>,
): Promise<void> {
  if (await finishUpload(upload, session, body)) return
  if (await isThere(upload)) return
  const message = `${session.url.host} says that it took ${upload.descriptor.digest}, but does not have it`
  throw new RegistryError('ERR_REGISTRY_PROTOCOL', message, { host: session.url.host })
}

function wrongRange({ url, offset }: UploadSession, from: number, to: number): RegistryError {
  const message = `${url.host} was sent the bytes from ${from} to ${to}, and says that it has ${offset}`
  return new RegistryError('ERR_REGISTRY_PROTOCOL', message, { host: url.host })
}

function throttled(
  size: number,
  report: ((sentBytes: number) => void) | undefined,
): ((sentBytes: number) => void) | undefined {
  if (report === undefined) return undefined
  let last = Number.NEGATIVE_INFINITY
  return (sentBytes) => {
    const now = performance.now()
    if (sentBytes < size && now - last < PROGRESS_INTERVAL_MS) return
    last = now
    report(sentBytes)
  }
}
