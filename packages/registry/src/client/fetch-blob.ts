import { RegistryError } from '../errors.ts'
import { header, readBody } from '../http/response.ts'
import { type RetryPolicy, withRetry } from '../http/retry.ts'
import type { HttpResponse } from '../http/transport.ts'
import type { Descriptor } from '../image/descriptor.ts'
import { verifyBytes } from '../image/digest.ts'
import { checkDocumentSize } from '../image/json-document.ts'
import { familiarName, type Reference } from '../image/reference.ts'
import type { Exchange } from './exchange.ts'
import type { CallOptions } from './registry-client.ts'

/** A blob's bytes on their way. */
export interface BlobBody {
  /** Where they begin: what was asked for, or 0. */
  offset: number
  body: AsyncIterable<Uint8Array>
  /** Drop the rest. */
  cancel(): void
}

/** `GET /v2/NAME/blobs/DIGEST`, once, from an offset on if the registry can. */
export async function openBlob(
  exchange: Exchange,
  reference: Reference,
  descriptor: Descriptor,
  call: CallOptions & { offset?: number } = {},
): Promise<BlobBody> {
  const { offset = 0, signal } = call
  if (offset > 0) {
    const response = await request(exchange, reference, descriptor, { offset, signal })
    if (response.status === 206 && continues(response, offset, descriptor.size)) {
      return { offset, body: response.body, cancel: response.cancel }
    }
    if (response.status === 200) return whole(response, descriptor)
    response.cancel() // 416, or another range than the one that was asked for
  }
  const response = await request(exchange, reference, descriptor, { offset: 0, signal })
  return whole(response, descriptor)
}

/** A small blob as a whole, verified. */
export async function readSmallBlob(
  exchange: Exchange,
  reference: Reference,
  descriptor: Descriptor,
  call: CallOptions & { policy?: RetryPolicy | undefined } = {},
): Promise<Uint8Array> {
  const what = `${descriptor.digest} of ${familiarName(reference)}`
  checkDocumentSize(descriptor.size, what)
  return withRetry(async () => {
    const { signal } = call
    const response = await request(exchange, reference, descriptor, { offset: 0, signal })
    const bytes = await readBody(response, descriptor.size, what)
    verifyBytes(bytes, descriptor)
    return bytes
  }, call)
}

function request(
  exchange: Exchange,
  reference: Reference,
  descriptor: Descriptor,
  { offset, signal }: { offset: number; signal: AbortSignal | undefined },
): Promise<HttpResponse> {
  const { registry, repository } = reference
  const { digest, size } = descriptor
  const name = familiarName(reference)
  return exchange({
    registry,
    repository,
    path: `blobs/${digest}`,
    method: 'GET',
    headers: offset > 0 ? { range: `bytes=${offset}-${size - 1}` } : {},
    action: `cannot download ${digest} of ${name}`,
    reference: name,
    signal,
    accept: offset > 0 ? [416] : [],
    once: true,
  })
}

/** Nothing but exactly the bytes that are missing may be appended to those that are there. */
function continues(response: HttpResponse, offset: number, size: number): boolean {
  const range = header(response, 'content-range') ?? ''
  const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(range) ?? []
  return (
    first === String(offset) &&
    last === String(size - 1) &&
    (total === String(size) || total === '*')
  )
}

function whole(response: HttpResponse, { digest, size }: Descriptor): BlobBody {
  const length = header(response, 'content-length')
  const { body, cancel, url } = response
  if (response.status === 200 && (length === undefined || length === String(size))) {
    return { offset: 0, body, cancel }
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
