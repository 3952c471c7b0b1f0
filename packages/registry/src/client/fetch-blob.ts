import { isRegistryError, RegistryError } from '../errors.ts'
import { header, readBody } from '../http/response.ts'
import { type RetryPolicy, withRetry } from '../http/retry.ts'
import type { HttpResponse, Transport } from '../http/transport.ts'
import type { Descriptor } from '../image/descriptor.ts'
import { parseDigest, verifyBytes } from '../image/digest.ts'
import { checkDocumentSize } from '../image/json-document.ts'
import { familiarName, type Reference } from '../image/reference.ts'
import type { Exchange } from './exchange.ts'
import { askForeign, isForeign } from './foreign-blob.ts'
import type { CallOptions } from './registry-client.ts'

/** A blob's bytes on their way. */
export interface BlobBody {
  /** Where they begin: what was asked for, or 0. */
  offset: number
  /** Where they end, exclusive: what was asked for, or the blob's size. */
  end: number
  body: AsyncIterable<Uint8Array>
  /** Drop the rest. */
  cancel(): void
}

/** Which bytes of a blob; default all. */
export interface BlobRange {
  offset?: number | undefined
  /** Exclusive. */
  end?: number | undefined
}

/** Where blobs come from. */
export interface BlobHosts {
  exchange: Exchange
  transport: Transport
}

/** Ask once for a blob, with this `Range` header; throws unless the status is 200, 206 or, for a range, 416. */
type Ask = (range: string | undefined) => Promise<HttpResponse>

/**
 * `GET /v2/NAME/blobs/DIGEST`, once: the bytes that were asked for if the registry can, else all of them.
 *
 * A foreign layer that the registry does not have is fetched from where its descriptor says.
 */
export async function openBlob(
  hosts: BlobHosts,
  reference: Reference,
  descriptor: Descriptor,
  call: CallOptions & BlobRange = {},
): Promise<BlobBody> {
  const { signal } = call
  const ask: Ask = (range) => request(hosts.exchange, reference, descriptor, { range, signal })
  try {
    return await openWith(ask, descriptor, call)
  } catch (error) {
    if (!isForeign(descriptor) || !isRegistryError(error, 'ERR_REGISTRY_NOT_FOUND')) throw error
    const foreign: Ask = (range) =>
      askForeign(hosts.transport, reference, descriptor, { range, signal })
    return openWith(foreign, descriptor, call)
  }
}

async function openWith(ask: Ask, descriptor: Descriptor, range: BlobRange): Promise<BlobBody> {
  const { size } = descriptor
  const { offset = 0, end = size } = range
  if (offset > 0 || end < size) {
    const response = await ask(`bytes=${offset}-${end - 1}`)
    const { body, cancel } = response
    if (response.status === 206 && isRange(response, { offset, end, size })) {
      return { offset, end, body, cancel }
    }
    if (response.status === 200) return whole(response, descriptor)
    response.cancel() // 416, or another range than the one that was asked for
  }
  return whole(await ask(undefined), descriptor)
}

/** A small blob as a whole, verified. */
export async function readSmallBlob(
  hosts: BlobHosts,
  reference: Reference,
  descriptor: Descriptor,
  call: CallOptions & { policy?: RetryPolicy | undefined } = {},
): Promise<Uint8Array> {
  const what = `${descriptor.digest} of ${familiarName(reference)}`
  checkDocumentSize(descriptor.size, what)
  const embedded = embeddedBytes(descriptor)
  if (embedded !== undefined) return embedded
  return withRetry(async () => {
    const { signal } = call
    const response = await request(hosts.exchange, reference, descriptor, { signal })
    const bytes = await readBody(response, descriptor.size, what)
    verifyBytes(bytes, descriptor)
    return bytes
  }, call)
}

/** The bytes that the descriptor brings along, if they are what it describes. Source: image-spec, descriptor.md, "data". */
function embeddedBytes(descriptor: Descriptor): Uint8Array | undefined {
  if (descriptor.data === undefined) return undefined
  const bytes = Buffer.from(descriptor.data, 'base64')
  try {
    verifyBytes(bytes, descriptor)
    return bytes
  } catch {
    return undefined
  }
}

function request(
  exchange: Exchange,
  reference: Reference,
  descriptor: Descriptor,
  { range, signal }: { range?: string | undefined; signal: AbortSignal | undefined },
): Promise<HttpResponse> {
  const { registry, repository } = reference
  const { digest } = descriptor
  parseDigest(digest) // it becomes a part of the URL
  const name = familiarName(reference)
  return exchange({
    registry,
    repository,
    path: `blobs/${digest}`,
    method: 'GET',
    headers: range === undefined ? {} : { range },
    action: `cannot download ${digest} of ${name}`,
    reference: name,
    signal,
    accept: range === undefined ? [] : [416],
    once: true,
  })
}

/** Nothing but exactly the bytes that were asked for may be put beside those that are there. */
function isRange(response: HttpResponse, wanted: { offset: number; end: number; size: number }) {
  const range = header(response, 'content-range') ?? ''
  const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(range) ?? []
  return (
    first === String(wanted.offset) &&
    last === String(wanted.end - 1) &&
    (total === String(wanted.size) || total === '*')
  )
}

function whole(response: HttpResponse, { digest, size }: Descriptor): BlobBody {
  const length = header(response, 'content-length')
  const { body, cancel, url } = response
  if (response.status === 200 && (length === undefined || length === String(size))) {
    return { offset: 0, end: size, body, cancel }
  }
  cancel()
  if (response.status !== 200) {
    const message = `cannot download ${digest}: ${url.host} answered with status ${response.status}`
    throw new RegistryError('ERR_REGISTRY_PROTOCOL', message, { host: url.host, url: url.href })
  }
  throw new RegistryError(
    'ERR_REGISTRY_SIZE_MISMATCH',
    `cannot download ${digest}: ${url.host} has ${length} bytes for it instead of ${size}`,
    { host: url.host, url: url.href, expected: String(size), actual: length },
  )
}
