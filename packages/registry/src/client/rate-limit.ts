import type { HttpResponse } from '../http/transport.ts'

/** How many requests a registry allows, as it said in its last answer that told. */
export interface RateLimit {
  /** In a window. */
  limit: number
  /** Left of them in the current window. */
  remaining: number
  /** Length of the window, if the registry says. */
  windowSeconds?: number
  /** Who the requests are counted for: an address or an account, if the registry says. */
  source?: string
}

/** The limits of all registries that told. */
export interface RateLimits {
  /** Take note of an answer. Returns its limits, if it has any. */
  note(registry: string, response: Pick<HttpResponse, 'headers'>): RateLimit | undefined
  of(registry: string): RateLimit | undefined
}

/** A memory of limits, one for each registry. */
export function createRateLimits(): RateLimits {
  const limits = new Map<string, RateLimit>()
  return {
    note(registry, { headers }) {
      const found = parseRateLimit(headers)
      if (found !== undefined) limits.set(registry, found)
      return found
    },
    of: (registry) => limits.get(registry),
  }
}

/**
 * The limits in an answer's headers; undefined unless both count and rest are there and make sense.
 * Source: Docker Hub, "Pull usage and limits": `RateLimit-Limit: 100;w=21600`.
 */
export function parseRateLimit(headers: HttpResponse['headers']): RateLimit | undefined {
  const limit = parseQuota(headers['ratelimit-limit'])
  const remaining = parseQuota(headers['ratelimit-remaining'])
  if (limit === undefined || remaining === undefined) return undefined
  const windowSeconds = remaining.windowSeconds ?? limit.windowSeconds
  const source = headers['docker-ratelimit-source']
  return {
    limit: limit.count,
    remaining: remaining.count,
    ...(windowSeconds === undefined ? {} : { windowSeconds }),
    ...(typeof source === 'string' && /^[\w.:@-]{1,100}$/.test(source) ? { source } : {}),
  }
}

function parseQuota(value: unknown): { count: number; windowSeconds?: number } | undefined {
  if (typeof value !== 'string') return undefined
  const [, count, window] = /^\s*(\d{1,12})\s*(?:;\s*w=(\d{1,9})\s*)?(?:[,;]|$)/.exec(value) ?? []
  if (count === undefined) return undefined
  return {
    count: Number(count),
    ...(window === undefined ? {} : { windowSeconds: Number(window) }),
  }
}
