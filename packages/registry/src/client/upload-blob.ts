import { isRegistryError, RegistryError } from '../errors.ts'
import { pauseBeforeRetry, type Retry, type RetryPolicy } from '../http/retry.ts'
import type { CheckedSource } from './checked-source.ts'
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

/** A blob that is to get into a repository, and how. */
export interface Upload extends UploadTarget {
  source: CheckedSource
  isThere(): Promise<boolean>
  mountFrom?: readonly string[] | undefined
  chunkBytes?: number | undefined
  singlePost?: boolean | undefined
  /** Set once the registry refused the other way. */
  only?: 'whole' | 'chunks'
  policy?: RetryPolicy | undefined
  onRetry?: ((retry: Retry) => void) | undefined
  onProgress?: ((sentBytes: number) => void) | undefined
}

/** A transfer that came this much further before it broke was good: count attempts anew. */
const GOOD_PROGRESS_BYTES = 1024 * 1024
/** For registries that take no more at a time, or a proxy before them that does not say so. */
const FALLBACK_CHUNK_BYTES = 16 * 1024 * 1024

/** Send until the registry has all of it, going on where a broken transfer stopped if the registry knows. */
export async function uploadBlob(given: Upload): Promise<PushOutcome> {
  let upload = given
  let session: UploadSession | undefined
  for (let attempt = 1; ; attempt++) {
    try {
      if (attempt > 1 && session !== undefined) {
        const before: UploadSession = session
        session = await resume(upload, before)
        if (session === undefined && (await upload.isThere())) return 'uploaded' // only the answer was lost
        if ((session?.offset ?? 0) - before.offset >= GOOD_PROGRESS_BYTES) attempt = 1
      }
      const begun: UploadSession | PushOutcome = session ?? (await begin(upload))
      if (typeof begun === 'string') return begun
      session = begun
      upload = { ...upload, mountFrom: undefined, singlePost: false }
      await transfer(upload, session)
      return 'uploaded'
    } catch (error) {
      const other = otherWay(upload, error)
      if (other === undefined) await pauseOrGiveUp(error, attempt, { upload, session })
      else {
        await cancelUpload(upload, session)
        session = undefined
        upload = other
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
  const session = upload.only === 'whole' ? undefined : await refreshUpload(upload, before)
  if (session !== undefined && session.offset <= upload.source.seen) return session
  await cancelUpload(upload, before)
  return undefined
}

/** The other way to send it, if the registry refused this one. */
function otherWay(upload: Upload, error: unknown): Upload | undefined {
  if (!isRegistryError(error)) return undefined
  const { code, method, status } = error
  const { chunkBytes, descriptor, only, singlePost } = upload
  if (singlePost && isRefusal(error)) return { ...upload, singlePost: false }
  if (only !== undefined) return undefined
  const unsupported = code === 'ERR_REGISTRY_UNSUPPORTED'
  if (unsupported && method === 'PATCH') return { ...upload, only: 'whole' }
  const tooLarge = status === 413 && descriptor.size > FALLBACK_CHUNK_BYTES
  if (chunkBytes !== undefined || !(tooLarge || (unsupported && method === 'PUT'))) return undefined
  return { ...upload, only: 'chunks', chunkBytes: FALLBACK_CHUNK_BYTES }
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
  const { source, descriptor, chunkBytes, only, signal, onProgress } = upload
  const { size } = descriptor
  const bodyUpTo = (end: number) => source.body(session.offset, end, { signal, onSent: onProgress })
  const fits = chunkBytes === undefined || size <= chunkBytes || only === 'whole'
  if (session.offset === 0 && fits && only !== 'chunks') {
    return finish(upload, session, bodyUpTo(size))
  }
  const step = Math.max(chunkBytes ?? size, session.minChunkBytes, 1)
  while (session.offset < size) {
    const { offset } = session
    const end = Math.min(offset + step, size)
    await sendChunk(upload, session, { body: bodyUpTo(end), end })
    if (session.offset <= offset) throw wrongRange(session, offset, end)
  }
  return finish(upload, session)
}

async function finish(
  upload: Upload,
  session: UploadSession,
  body?: ReturnType<CheckedSource['body']>,
): Promise<void> {
  if (await finishUpload(upload, session, body)) return
  if (await upload.isThere()) return
  const message = `${session.url.host} says that it took ${upload.descriptor.digest}, but does not have it`
  throw new RegistryError('ERR_REGISTRY_PROTOCOL', message, { host: session.url.host })
}

function wrongRange({ url, offset }: UploadSession, from: number, to: number): RegistryError {
  const message = `${url.host} was sent the bytes from ${from} to ${to}, and says that it has ${offset}`
  return new RegistryError('ERR_REGISTRY_PROTOCOL', message, { host: url.host })
}
