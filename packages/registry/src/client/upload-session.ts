import { isRegistryError, RegistryError } from '../errors.ts'
import { header } from '../http/response.ts'
import type { HttpResponse, RequestBody } from '../http/transport.ts'
import type { Descriptor } from '../image/descriptor.ts'
import { parseDigest } from '../image/digest.ts'
import { type Reference, repositoryName } from '../image/reference.ts'
import { checkAnnouncedDigest } from './announced-digest.ts'
import type { ApiRequest, Exchange } from './exchange.ts'
import { repositoryScope } from './scope.ts'

/** What is uploaded, and where to. */
export interface UploadTarget {
  exchange: Exchange
  reference: Reference
  descriptor: Descriptor
  signal?: AbortSignal | undefined
}

/** An upload that a registry has begun; it changes as the upload goes on. */
export interface UploadSession {
  /** Where the next request goes. */
  url: URL
  /** Bytes that the registry has. */
  offset: number
  /** No chunk but the last may be smaller. */
  minChunkBytes: number
  /** Set once the registry said how far a broken transfer came. */
  resumed: boolean
}

const OCTETS = { 'content-type': 'application/octet-stream' }
/** An upload that is given up is not worth a long wait. */
const CANCEL_TIMEOUT_MS = 5_000
/** What registries say of a session besides 404 when they have lost it, or its bytes do not add up. */
const LOST = new Set(['BLOB_UPLOAD_UNKNOWN', 'BLOB_UPLOAD_INVALID'])
const DAMAGED = new Set(['DIGEST_INVALID', 'SIZE_INVALID'])

/** `POST /v2/NAME/blobs/uploads/`. Source: distribution-spec, "Pushing a blob monolithically". */
export async function beginUpload(
  target: UploadTarget,
  query: Record<string, string> = {},
): Promise<UploadSession> {
  const { algorithm } = parseDigest(target.descriptor.digest)
  const parameters = algorithm === 'sha256' ? query : { 'digest-algorithm': algorithm, ...query }
  const response = await target.exchange({
    ...requestFor(target),
    path: uploadPath(parameters),
    method: 'POST',
  })
  response.cancel()
  return sessionOf(response)
}

/**
 * `POST /v2/NAME/blobs/uploads/?mount=DIGEST&from=OTHER`. Undefined if the blob is now in the
 * repository, else the session that the registry has begun instead.
 *
 * Without `from` the registry takes the blob from wherever it has it, if it does such a thing.
 */
export async function mountBlob(
  target: UploadTarget,
  from: string | undefined,
): Promise<UploadSession | undefined> {
  const request = requestFor(target)
  const source = from === undefined ? [] : [repositoryScope({ repository: from }, 'pull')]
  const response = await target.exchange({
    ...request,
    scopes: [...request.scopes, ...source],
    path: uploadPath({ mount: target.descriptor.digest, ...(from === undefined ? {} : { from }) }),
    method: 'POST',
  })
  response.cancel()
  if (response.status !== 201) return sessionOf(response)
  checkStoredDigest(response, target)
  return undefined
}

/** `POST /v2/NAME/blobs/uploads/?digest=DIGEST` with all of it. Undefined if it is stored, else the session begun instead. */
export async function postBlob(
  target: UploadTarget,
  body: RequestBody,
): Promise<UploadSession | undefined> {
  const response = await target.exchange({
    ...requestFor(target),
    path: uploadPath({ digest: target.descriptor.digest }),
    method: 'POST',
    headers: OCTETS,
    body,
    commits: true,
  })
  response.cancel()
  if (response.status !== 201) return sessionOf(response)
  checkStoredDigest(response, target)
  return undefined
}

/** `PATCH` with the bytes from the session's offset up to `end`; the session moves on. */
export async function sendChunk(
  target: UploadTarget,
  session: UploadSession,
  { body, end }: { body: RequestBody; end: number },
): Promise<void> {
  const response = await askSession(target, session, {
    method: 'PATCH',
    headers: { ...OCTETS, 'content-range': `${session.offset}-${end - 1}` },
    body,
  })
  response.cancel()
  session.url = locationOf(response) ?? session.url
  session.offset = Math.min(storedBytes(response) ?? end, end) // some count one byte too many
}

/** `PUT …?digest=DIGEST`, with all of the blob or after its last chunk. Whether the registry says that it is stored. */
export async function finishUpload(
  target: UploadTarget,
  session: UploadSession,
  body?: RequestBody,
): Promise<boolean> {
  const url = withQuery(session.url, { digest: target.descriptor.digest })
  const headers = body === undefined ? {} : OCTETS
  const request = { method: 'PUT', headers, body, commits: true } as const
  const response = await askSession(target, { ...session, url }, request)
  response.cancel()
  if (response.status === 201) checkStoredDigest(response, target)
  return response.status === 201
}

/** `GET` of the session: how far it is. Undefined if the registry no longer has it, or does not say. */
export async function refreshUpload(
  target: UploadTarget,
  session: UploadSession,
): Promise<UploadSession | undefined> {
  try {
    const response = await askSession(target, session, { method: 'GET' })
    response.cancel()
    const offset = storedBytes(response)
    if (offset === undefined) return undefined
    return { ...session, url: locationOf(response) ?? session.url, offset, resumed: true }
  } catch (error) {
    if (isRegistryError(error, 'ERR_REGISTRY_UPLOAD_LOST')) return undefined
    if (!isRegistryError(error) || error.temporary || error.status === undefined) throw error
    return undefined // not every registry tells
  }
}

/** `DELETE` of the session, as well as it goes: the registry forgets it by itself after a while. */
export async function cancelUpload(
  target: UploadTarget,
  session: UploadSession | undefined,
): Promise<void> {
  if (session === undefined) return
  const signal = AbortSignal.timeout(CANCEL_TIMEOUT_MS)
  const answer = askSession({ ...target, signal }, session, { method: 'DELETE' })
  await answer.then(
    (response) => response.cancel(),
    () => {},
  )
}

/** Query parameters that follow those a registry's address has, which stay as they are to the byte. */
export function withQuery(url: URL, parameters: Record<string, string>): URL {
  const added = new URLSearchParams(parameters).toString()
  const changed = new URL(url)
  changed.search = url.search === '' ? added : `${url.search}&${added}`
  return changed
}

async function askSession(
  target: UploadTarget,
  { url, resumed }: UploadSession,
  request: Pick<ApiRequest, 'method' | 'headers' | 'body' | 'commits'>,
): Promise<HttpResponse> {
  try {
    return await target.exchange({ ...requestFor(target), ...request, path: '', url })
  } catch (error) {
    throw isLost(error, resumed) ? uploadLost(error, target) : error
  }
}

/** A digest that is wrong after a resume says that the registry and this client disagree about an offset. */
function isLost(error: unknown, resumed: boolean): error is RegistryError {
  if (!isRegistryError(error)) return false
  const { status, errors = [] } = error
  if (status === 404 || status === 416) return true
  return errors.some(({ code }) => LOST.has(code) || (resumed && DAMAGED.has(code)))
}

function uploadLost(cause: RegistryError, { descriptor, reference }: UploadTarget): RegistryError {
  const { host, method, url, status, errors } = cause
  const message = `lost the upload of ${descriptor.digest} to ${repositoryName(reference)}: ${cause.message}`
  return new RegistryError('ERR_REGISTRY_UPLOAD_LOST', message, {
    host,
    method,
    url,
    status,
    errors,
    hint: 'try again',
    temporary: true,
    cause,
  })
}

function requestFor({ reference, descriptor, signal }: UploadTarget) {
  const { registry, repository } = reference
  const name = repositoryName(reference)
  return {
    registry,
    repository,
    scopes: [repositoryScope(reference, 'pull,push')],
    action: `cannot upload ${descriptor.digest} to ${name}`,
    reference: name,
    signal,
    once: true,
  }
}

function uploadPath(parameters: Record<string, string>): string {
  const query = new URLSearchParams(parameters).toString()
  return `blobs/uploads/${query === '' ? '' : `?${query}`}`
}

function sessionOf(response: HttpResponse): UploadSession {
  const url = locationOf(response)
  if (url === undefined) {
    const { host } = response.url
    const message = `cannot upload: ${host} does not say where to`
    throw new RegistryError('ERR_REGISTRY_PROTOCOL', message, { host, url: response.url.href })
  }
  const least = header(response, 'oci-chunk-min-length') ?? ''
  const minChunkBytes = /^\d{1,12}$/.test(least) ? Number(least) : 0
  return { url, offset: 0, minChunkBytes, resumed: false }
}

function locationOf(response: HttpResponse): URL | undefined {
  const location = header(response, 'location')
  if (location === undefined || !URL.canParse(location, response.url.href)) return undefined
  return new URL(location, response.url)
}

/** Undefined if the registry does not say, or says `0-0`: that is one byte to some and none to others. */
function storedBytes(response: HttpResponse): number | undefined {
  const last = /^(?:bytes=)?0-(\d{1,15})$/.exec(header(response, 'range') ?? '')?.[1]
  return last === undefined || last === '0' ? undefined : Number(last) + 1
}

function checkStoredDigest(response: HttpResponse, { descriptor }: UploadTarget): void {
  const stored = header(response, 'docker-content-digest')
  checkAnnouncedDigest(stored, descriptor.digest, response)
}
