import { type Answer, failure } from './answer.ts'

/** How many manifests may be read in a while, as Docker Hub counts them. */
export interface RateLimitOptions {
  limit: number
  windowSeconds: number
}

/** Counts the manifests that are read; all clients are one. */
export class RateLimit {
  readonly #options: RateLimitOptions
  #used = 0
  #windowEnds = 0

  constructor(options: RateLimitOptions) {
    this.#options = options
  }

  /** The headers for an answer about a manifest; only a GET counts. The 429 if there were too many. */
  count(method: string): { headers: Answer['headers']; refusal: Answer | undefined } {
    const { limit, windowSeconds } = this.#options
    if (Date.now() >= this.#windowEnds) {
      this.#used = 0
      this.#windowEnds = Date.now() + windowSeconds * 1000
    }
    const exceeded = method === 'GET' && this.#used >= limit
    if (method === 'GET' && !exceeded) this.#used += 1
    const headers = {
      'ratelimit-limit': `${limit};w=${windowSeconds}`,
      'ratelimit-remaining': `${limit - this.#used};w=${windowSeconds}`,
      'docker-ratelimit-source': '127.0.0.1',
    }
    if (!exceeded) return { headers, refusal: undefined }
    const wait = Math.ceil((this.#windowEnds - Date.now()) / 1000)
    const message = 'You have reached your pull rate limit.'
    return { headers, refusal: failure('TOOMANYREQUESTS', message, { 'retry-after': `${wait}` }) }
  }
}
