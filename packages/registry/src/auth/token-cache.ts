import { coversScopes, type Scopes } from './scope.ts'
import { type SharedWork, shareWork } from './shared-work.ts'
import type { Token } from './token-service.ts'

/** The tokens for one repository (or for what is about none). */
export interface TokenCache {
  /** A token good for these scopes: one at hand, one on its way for somebody else, or a new one. */
  get(
    scopes: Scopes,
    fetch: (signal: AbortSignal) => Promise<Token>,
    signal?: AbortSignal,
  ): Promise<Token>
  /** The registry does not take this token any more. */
  drop(value: string): void
}

/** More are only of use to who reads and writes the same repository in many ways at once. */
const MAX_TOKENS = 16

/** Make an empty cache. */
export function createTokenCache(): TokenCache {
  let tokens: Token[] = []
  const pending = new Map<string, SharedWork<Token>>()

  return {
    async get(scopes, fetch, signal) {
      const now = performance.now()
      tokens = tokens.filter(({ expiresAt }) => expiresAt > now)
      const held = tokens.find((token) => token.renewAt > now && coversScopes(token.scopes, scopes))
      if (held !== undefined) return held
      const key = scopes.join(' ')
      const running = pending.get(key)
      const work = running === undefined || running.isAbandoned ? shareWork(fetch) : running
      pending.set(key, work)
      try {
        const token = await work.join(signal)
        if (!tokens.includes(token)) tokens = [token, ...tokens].slice(0, MAX_TOKENS)
        return token
      } finally {
        if (pending.get(key) === work) pending.delete(key)
      }
    },
    drop(value) {
      tokens = tokens.filter((token) => token.value !== value)
    },
  }
}
