import { setTimeout as sleep } from 'node:timers/promises'
import { abortedError, throwIfAborted } from '../abort.ts'
import { isRegistryError, type RegistryError } from '../errors.ts'

/** How failures that may pass are met. */
export interface RetryPolicy {
  /** Tries in all, the first included. Default 5. */
  attempts?: number
  /** The first pause; each later one is twice as long. Default 500. */
  baseMs?: number
  /** No pause is longer; a registry that asks for more gets no retry. Default 60 000. */
  maxMs?: number
}

/** What is about to be tried again. */
export interface Retry {
  /** Of the coming attempt; the first one was 1. */
  attempt: number
  delayMs: number
  /** Why the last one failed. */
  error: RegistryError
}

/** Options of {@link withRetry}. */
export interface RetryOptions {
  policy?: RetryPolicy | undefined
  signal?: AbortSignal | undefined
  onRetry?: ((retry: Retry) => void) | undefined
  /** For tests. Default `Math.random`. */
  random?: () => number
}

/** Run `operation` until it succeeds, fails for good, or has been tried often enough. */
export async function withRetry<T>(
  operation: (attempt: number) => Promise<T>,
  options: RetryOptions = {},
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    throwIfAborted(options.signal)
    try {
      return await operation(attempt)
    } catch (error) {
      await pauseBeforeRetry(error, attempt, options)
    }
  }
}

/** Wait as long as the failure of this attempt demands. Throws it if it is not to be tried again. */
export async function pauseBeforeRetry(
  error: unknown,
  attempt: number,
  options: RetryOptions,
): Promise<void> {
  const { policy = {}, signal, onRetry, random = Math.random } = options
  const { attempts = 5 } = policy
  if (!isRegistryError(error) || error.temporary !== true || attempt >= attempts) throw error
  const delayMs = retryDelay(error, attempt, policy, random)
  if (delayMs === undefined) throw error
  onRetry?.({ attempt: attempt + 1, delayMs, error })
  try {
    await sleep(delayMs, undefined, signal === undefined ? {} : { signal })
  } catch (cause) {
    throw signal?.aborted ? abortedError(signal) : cause
  }
}

/** Undefined if the registry asks for more patience than the policy has. */
function retryDelay(
  error: RegistryError,
  attempt: number,
  { baseMs = 500, maxMs = 60_000 }: RetryPolicy,
  random: () => number,
): number | undefined {
  if (error.retryAfterMs !== undefined) {
    return error.retryAfterMs <= maxMs ? error.retryAfterMs : undefined
  }
  const exponential = Math.min(baseMs * 2 ** (attempt - 1), maxMs)
  // Half fixed, half random: clients that failed together do not come back together.
  return Math.round(exponential * (0.5 + random() / 2))
}

/** The milliseconds of a `Retry-After` header: seconds or a date. Source: RFC 9110, section 10.2.3. */
export function parseRetryAfter(value: unknown, now = Date.now()): number | undefined {
  if (typeof value !== 'string') return undefined
  const text = value.trim()
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000
  const date = /^[A-Z][a-z]+,? /.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(date) ? undefined : Math.max(date - now, 0)
}
