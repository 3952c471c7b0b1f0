import type { IncomingMessage } from 'node:http'
import { type AccessScope, formatScope, parseScopes } from './access-scope.ts'
import { type Answer, errorAnswer, failure, jsonAnswer } from './answer.ts'
import { TokenBook } from './token-book.ts'

/** How a test registry tells its users apart. */
export interface AccessOptions {
  /** `token` is what Docker Hub does, `basic` what a small private registry does. Default `none`. */
  auth?: 'none' | 'token' | 'basic'
  /** Password by user name. Users may do everything; others may at most read. */
  users?: Record<string, string>
  /** Whether only users may read: everything, or these repositories. Default false; always true with `basic`. */
  private?: boolean | string[]
  /** Default 300. */
  tokenLifeSeconds?: number
}

/** The rules of who may do what, and the token service. */
export class AccessControl {
  readonly #options: AccessOptions
  readonly #book: TokenBook

  constructor(options: AccessOptions) {
    this.#options = options
    this.#book = new TokenBook((options.tokenLifeSeconds ?? 300) * 1000)
  }

  /** Undefined if the request may do all this, else the 401. */
  check(request: IncomingMessage, scopes: AccessScope[], realm: string): Answer | undefined {
    const { auth = 'none' } = this.#options
    const { authorization } = request.headers
    if (auth === 'none') return undefined
    if (auth === 'basic') {
      if (this.#userOf(authorization) !== undefined) return undefined
      return unauthorized('Basic realm="test registry"')
    }
    const token = /^Bearer (.+)$/i.exec(authorization ?? '')?.[1]
    const granted = token === undefined ? undefined : this.#book.scopesOf(token)
    if (granted !== undefined && scopes.every((scope) => covers(granted, scope))) return undefined
    const parameters = [`realm="${realm}"`, 'service="test registry"']
    if (scopes.length > 0) parameters.push(`scope="${scopes.map(formatScope).join(' ')}"`)
    if (token !== undefined) {
      parameters.push(`error="${granted === undefined ? 'invalid_token' : 'insufficient_scope'}"`)
    }
    return unauthorized(`Bearer ${parameters.join(',')}`)
  }

  /**
   * The answer of the token service: to GET as Docker's, to a form by POST as OAuth2's. As on Docker
   * Hub, anybody gets a token, but it opens only the doors that its bearer may go through.
   */
  token(request: IncomingMessage, url: URL, form: URLSearchParams | undefined): Answer {
    return form === undefined
      ? this.#tokenByGet(request, url.searchParams)
      : this.#tokenByPost(form)
  }

  /** Make every access token that was given out worthless. */
  revokeTokens(): void {
    this.#book.revokeTokens()
  }

  /** A refresh token (`identitytoken`) of a user, as a login gets it. */
  issueRefreshToken(user: string): string {
    return this.#book.issueRefreshToken(user)
  }

  #tokenByGet(request: IncomingMessage, query: URLSearchParams): Answer {
    const { authorization } = request.headers
    const user = this.#userOf(authorization)
    if (authorization !== undefined && user === undefined) {
      return failure('UNAUTHORIZED', 'incorrect username or password')
    }
    const offline = query.get('offline_token') === 'true'
    return this.#answer(user, query.getAll('scope').join(' '), offline)
  }

  #tokenByPost(form: URLSearchParams): Answer {
    const grant = form.get('grant_type')
    const user =
      grant === 'refresh_token'
        ? this.#book.userOf(form.get('refresh_token') ?? '')
        : this.#authenticated(form.get('username') ?? '', form.get('password') ?? '')
    if (grant !== 'refresh_token' && grant !== 'password') {
      return errorAnswer(400, 'UNSUPPORTED', `unknown grant_type ${grant}`)
    }
    if (user === undefined) return failure('UNAUTHORIZED', 'incorrect credentials')
    const offline = grant === 'refresh_token' || form.get('access_type') === 'offline'
    return this.#answer(user, form.get('scope') ?? '', offline)
  }

  #answer(user: string | undefined, asked: string, offline: boolean): Answer {
    const scopes = parseScopes(asked).map((scope) => this.#permitted(user, scope))
    const { token, expiresInSeconds } = this.#book.issueToken(scopes)
    return jsonAnswer({
      token,
      access_token: token,
      scope: scopes.map(formatScope).join(' '),
      expires_in: expiresInSeconds,
      issued_at: new Date().toISOString(),
      ...(offline && user !== undefined
        ? { refresh_token: this.#book.issueRefreshToken(user) }
        : {}),
    })
  }

  #permitted(user: string | undefined, scope: AccessScope): AccessScope {
    if (user !== undefined) return scope
    const hidden = this.#options.private ?? false
    const open = scope.type === 'repository' && !isHidden(hidden, scope.name)
    return { ...scope, actions: scope.actions.filter((action) => open && action === 'pull') }
  }

  #userOf(authorization: string | undefined): string | undefined {
    const encoded = /^Basic (.+)$/i.exec(authorization ?? '')?.[1]
    const [, user, password] =
      /^([^:]*):(.*)$/s.exec(Buffer.from(encoded ?? '', 'base64').toString()) ?? []
    return this.#authenticated(user, password)
  }

  #authenticated(user: string | undefined, password: string | undefined): string | undefined {
    const { users = {} } = this.#options
    return user !== undefined && Object.hasOwn(users, user) && users[user] === password
      ? user
      : undefined
  }
}

function isHidden(hidden: boolean | string[], repository: string): boolean {
  return typeof hidden === 'boolean' ? hidden : hidden.includes(repository)
}

function covers(granted: AccessScope[], { type, name, actions }: AccessScope): boolean {
  const had = granted.filter((scope) => scope.type === type && scope.name === name)
  return actions.every((action) => had.some((scope) => scope.actions.includes(action)))
}

function unauthorized(challenge: string): Answer {
  return failure('UNAUTHORIZED', 'authentication required', { 'www-authenticate': challenge })
}
