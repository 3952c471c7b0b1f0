import { randomBytes } from 'node:crypto'

/** For how long a URL of the storage is good; without a limit, for ever. */
export interface UrlLife {
  uses?: number
  lifeMs?: number
}

interface Signature {
  pathname: string
  usesLeft: number
  expires: number
}

/** The URLs that a storage gives out, each of which carries the right to read one thing for a while. */
export class PresignedUrls {
  readonly #signatures = new Map<string, Signature>()

  /** Path and query of a URL for this path. */
  sign(pathname: string, { uses = Infinity, lifeMs = Infinity }: UrlLife = {}): string {
    const signature = randomBytes(12).toString('base64url')
    this.#signatures.set(signature, { pathname, usesLeft: uses, expires: Date.now() + lifeMs })
    return `${pathname}?signature=${signature}`
  }

  /** Whether the URL is good, which uses it up by one. */
  redeem(url: URL): boolean {
    const found = this.#signatures.get(url.searchParams.get('signature') ?? '')
    if (found === undefined || found.pathname !== url.pathname) return false
    if (found.usesLeft <= 0 || found.expires <= Date.now()) return false
    found.usesLeft -= 1
    return true
  }
}
