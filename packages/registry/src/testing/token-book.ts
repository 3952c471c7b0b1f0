import { randomBytes } from 'node:crypto'
import type { AccessScope } from './access-scope.ts'

interface Grant {
  scopes: AccessScope[]
  expires: number
}

/** The tokens that a token service has given out. */
export class TokenBook {
  readonly #lifeMs: number
  readonly #grants = new Map<string, Grant>()
  readonly #refreshTokens = new Map<string, string>()

  constructor(lifeMs: number) {
    this.#lifeMs = lifeMs
  }

  issueToken(scopes: AccessScope[]): { token: string; expiresInSeconds: number } {
    const token = randomBytes(24).toString('base64url')
    this.#grants.set(token, { scopes, expires: Date.now() + this.#lifeMs })
    return { token, expiresInSeconds: this.#lifeMs / 1000 }
  }

  /** What a token is good for; undefined if it was never given out, is revoked or has expired. */
  scopesOf(token: string): AccessScope[] | undefined {
    const grant = this.#grants.get(token)
    return grant !== undefined && grant.expires >= Date.now() ? grant.scopes : undefined
  }

  issueRefreshToken(user: string): string {
    const token = randomBytes(24).toString('base64url')
    this.#refreshTokens.set(token, user)
    return token
  }

  /** Whose refresh token this is. */
  userOf(refreshToken: string): string | undefined {
    return this.#refreshTokens.get(refreshToken)
  }

  /** Make every access token that was given out worthless; refresh tokens stay good. */
  revokeTokens(): void {
    this.#grants.clear()
  }
}
