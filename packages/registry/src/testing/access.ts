import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { type Answer, errorAnswer } from './answer.ts'

/** How a test registry tells its users apart. */
export interface AccessOptions {
  /** `token` is what Docker Hub does, `basic` what a small private registry does. Default `none`. */
  auth?: 'none' | 'token' | 'basic'
  /** Password by user name. */
  users?: Record<string, string>
  /** Whether only users may read. Default false; always true with `basic`. */
  private?: boolean
  /** Default 300. */
  tokenLifeSeconds?: number
}

interface Grant {
  scope: string
  expires: number
  user: string | undefined
}

/** The rules of who may read, and the token service. */
export class AccessControl {
  readonly #options: AccessOptions
  readonly #grants = new Map<string, Grant>()
  /** The URL of the token service, once it listens. */
  realm = ''

  constructor(options: AccessOptions) {
    this.#options = options
  }

  /** Undefined if the request may pass, else the 401. */
  check(request: IncomingMessage, repository: string | undefined): Answer | undefined {
    const { auth = 'none' } = this.#options
    const { authorization } = request.headers
    if (auth === 'basic') {
      if (this.#userOf(authorization) !== undefined) return undefined
      return unauthorized('Basic realm="test registry"')
    }
    if (auth === 'none') return undefined
    const scope = repository === undefined ? '' : `repository:${repository}:pull`
    if (this.#isGranted(authorization, scope)) return undefined
    const parameters = [`realm="${this.realm}"`, 'service="test registry"']
    return unauthorized(
      `Bearer ${[...parameters, ...(scope ? [`scope="${scope}"`] : [])].join(',')}`,
    )
  }

  /** The answer of the token service. As on Docker Hub, anybody gets a token, but not all open doors. */
  token(request: IncomingMessage, url: URL): Answer {
    const { authorization } = request.headers
    const user = this.#userOf(authorization)
    if (authorization !== undefined && user === undefined) {
      return errorAnswer(401, 'UNAUTHORIZED', 'incorrect username or password')
    }
    const life = this.#options.tokenLifeSeconds ?? 300
    const token = randomBytes(24).toString('base64url')
    const scope = url.searchParams.getAll('scope').join(' ')
    this.#grants.set(token, { scope, user, expires: Date.now() + life * 1000 })
    const body = {
      token,
      access_token: token,
      expires_in: life,
      issued_at: new Date().toISOString(),
    }
    return {
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: Buffer.from(JSON.stringify(body)),
    }
  }

  /** Forget every token that was given out. */
  revokeTokens(): void {
    this.#grants.clear()
  }

  #isGranted(authorization: string | undefined, scope: string): boolean {
    const token = /^Bearer (.+)$/.exec(authorization ?? '')?.[1]
    const grant = token === undefined ? undefined : this.#grants.get(token)
    if (grant === undefined || grant.expires < Date.now()) return false
    if (this.#options.private && grant.user === undefined) return false
    return scope === '' || grant.scope.split(' ').includes(scope)
  }

  #userOf(authorization: string | undefined): string | undefined {
    const encoded = /^Basic (.+)$/.exec(authorization ?? '')?.[1]
    const [, user, password] =
      /^([^:]*):(.*)$/s.exec(Buffer.from(encoded ?? '', 'base64').toString()) ?? []
    const { users = {} } = this.#options
    return user !== undefined && Object.hasOwn(users, user) && users[user] === password
      ? user
      : undefined
  }
}

function unauthorized(challenge: string): Answer {
  return errorAnswer(401, 'UNAUTHORIZED', 'authentication required', {
    'www-authenticate': challenge,
  })
}
