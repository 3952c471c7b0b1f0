import { throwIfAborted } from '../abort.ts'
import { RegistryError } from '../errors.ts'
import { pauseBeforeRetry, type Retry, type RetryPolicy } from '../http/retry.ts'
import type { BlobBody } from './fetch-blob.ts'

/** Ask once for the bytes from `offset` to `end`, exclusive; the answer may hold more. */
export type OpenRange = (
  offset: number,
  end: number,
  signal: AbortSignal | undefined,
) => Promise<BlobBody>

/** A part of a blob, and how much of it there is. */
export interface Part {
  /** All before this has been passed on. */
  offset: number
  /** Exclusive. Grows up to `limit` if an answer holds more than was asked for. */
  end: number
  /** Default `end`. */
  limit?: number
}

/** How broken transfers are met. */
export interface TransferOptions {
  policy?: RetryPolicy | undefined
  signal?: AbortSignal | undefined
  onRetry?: ((retry: Retry) => void) | undefined
}

/** A connection that carried this much before it broke was good: count attempts anew. */
const GOOD_PROGRESS_BYTES = 1024 * 1024

/**
 * The bytes of a part, however many connections that takes; each goes on where the last one broke.
 *
 * Where a registry has no ranges, what was there already is fetched again and passed over. `failure`
 * is what an attempt before this call failed with. Throws `ERR_REGISTRY_SIZE_MISMATCH` if there are
 * fewer or more bytes than announced, and what the last attempt failed with.
 */
export async function* resumedBytes(
  open: OpenRange,
  part: Part,
  options: TransferOptions,
  failure?: unknown,
): AsyncGenerator<Uint8Array, void, undefined> {
  let attempt = 1
  if (failure !== undefined) await pauseBeforeRetry(failure, attempt++, options)
  while (part.offset < part.end) {
    const before = part.offset
    try {
      yield* received(open, part, options.signal)
      if (part.offset < part.end) throw sizeMismatch(part, part.offset)
    } catch (error) {
      if (part.offset - before >= GOOD_PROGRESS_BYTES) attempt = 1
      await pauseBeforeRetry(error, attempt++, options)
    }
  }
}

async function* received(
  open: OpenRange,
  part: Part,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const answer = await open(part.offset, part.end, signal)
  try {
    const { limit = part.end } = part
    part.end = Math.min(Math.max(part.end, answer.end), limit)
    let at = answer.offset
    for await (const chunk of answer.body) {
      throwIfAborted(signal)
      const known = Math.min(part.offset - at, chunk.byteLength)
      at += chunk.byteLength
      if (at > answer.end) throw sizeMismatch(part, at)
      const surplus = Math.max(0, at - part.end)
      if (known + surplus < chunk.byteLength) {
        part.offset = at - surplus
        yield known + surplus === 0 ? chunk : chunk.subarray(known, chunk.byteLength - surplus)
      }
      if (part.offset === part.end && answer.end > part.end) return
    }
  } finally {
    answer.cancel()
  }
}

function sizeMismatch({ end }: Part, at: number): RegistryError {
  return new RegistryError(
    'ERR_REGISTRY_SIZE_MISMATCH',
    `the registry sent ${at > end ? 'more' : 'fewer'} bytes than it announced: ${at} instead of ${end}`,
    { expected: String(end), actual: String(at) },
  )
}
