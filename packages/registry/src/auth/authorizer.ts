import { RegistryError } from '../errors.ts'
import type { TlsSettings } from '../hosts/endpoint.ts'
import { isLoopbackHost } from '../http/host-rules.ts'
import type { Transport } from '../http/transport.ts'
import type { Challenge } from './challenge.ts'
import { type BearerService, chooseMethod, type Method } from './challenge-method.ts'
import {
  type CredentialProvider,
  type CredentialQuery,
  type Credentials,
  encodeBasic,
  isSameCredentials,
} from './credentials.ts'
import { parseScopes, repositoryScope, type Scopes, unionScopes } from './scope.ts'
import { createSecretSet } from './secret-set.ts'
import { createTokenCache, type TokenCache } from './token-cache.ts'
import { fetchToken, isRefusal, type Token } from './token-service.ts'
import { createWallet } from './wallet.ts'

/** What a request is about to touch; one object for all tries of one request. */
export interface AuthTarget {
  registry: string
  /** The registry's API. */
  base: URL
  repository?: string | undefined
  /** What a token must be good for, in the token service's form: `repository:team/app:pull,push`, `registry:catalog:*`. */
  scopes?: Scopes | undefined
  /** Set where the caller asked for plain HTTP with this registry. */
  plainHttp?: boolean
  signal?: AbortSignal | undefined
  /** How TLS is spoken with the registry. */
  tls?: TlsSettings | undefined
}

/** Answers a registry's challenges, and remembers what worked. */
export interface Authorizer {
  /**
   * The `Authorization` header to send; undefined as long as the registry asked for none. Throws
   * `ERR_REGISTRY_UNAUTHORIZED`, `ERR_REGISTRY_TLS` where a secret would travel unprotected, and what the
   * token service and the credentials throw.
   */
  authorization(target: AuthTarget): Promise<string | undefined>
  /**
   * Take up the challenges of a 401, or of a 403 for want of scope. Returns whether to ask again, which it is
   * not without credentials for a registry that wants some, nor twice for the same reason. `used` is what was sent.
   * Throws `ERR_REGISTRY_UNSAFE_REALM` and what {@link authorization} throws.
   */
  accept(target: AuthTarget, challenges: Challenge[], used: string | undefined): Promise<boolean>
  /** Everything secret that was sent or received so far, to be masked in what the registry says. */
  secrets(): string[]
}

/** What is known of one repository of one registry. */
interface Session {
  method: Method
  tokens: TokenCache
  /** What the registry said it needs, by what was wanted. */
  needs: Map<string, Scopes>
}

/** A challenge is answered this often for one request: an old token, a narrow one, and the right one. */
const MAX_ANSWERS = 3

/** Make an authorizer that asks `credentials` once for each repository and keeps tokens until they expire. */
export function createAuthorizer(
  transport: Transport,
  credentials: CredentialProvider = async () => undefined,
): Authorizer {
  const sessions = new Map<string, Session>()
  const wallet = createWallet(credentials)
  const secrets = createSecretSet()
  const answers = new WeakMap<AuthTarget, number>()

  async function credentialsFor(target: AuthTarget, signal = target.signal) {
    const found = await wallet.get(queryOf(target), signal)
    secrets.addCredentials(found)
    return found
  }

  async function otherCredentials(
    target: AuthTarget,
    refused: Credentials,
    signal = target.signal,
  ) {
    const found = await wallet.getOther(queryOf(target), refused, signal)
    secrets.addCredentials(found)
    return found
  }

  async function request(
    target: AuthTarget,
    method: BearerService,
    scopes: Scopes,
    signal: AbortSignal,
  ) {
    const first = await credentialsFor(target, signal)
    const ask = async (who: Credentials | undefined): Promise<Token> => {
      const { registry, base, tls } = target
      const offline = credentials.offline ?? false
      const what = { registry, base, tls, credentials: who, scopes, offline, secrets, signal }
      const token = await fetchToken(transport, method, what)
      secrets.addToken(token.value)
      await keepIdentityToken(target, who, token)
      return token
    }
    try {
      return await ask(first)
    } catch (error) {
      if (!isRefusal(error)) throw error
      const other = first && (await otherCredentials(target, first, signal))
      if (other === undefined) throw error
      return ask(other)
    }
  }

  /** A service that gives a new identity token may not take the old one any more. */
  async function keepIdentityToken(
    target: AuthTarget,
    old: Credentials | undefined,
    { identityToken }: Token,
  ): Promise<void> {
    if (identityToken === undefined || old === undefined) return
    if (old.type !== 'identity-token' && !credentials.offline) return
    if (old.type === 'registry-token') return
    const { username } = old
    const found: Credentials = {
      type: 'identity-token',
      token: identityToken,
      ...(username === undefined ? {} : { username }),
    }
    if (isSameCredentials(old, found)) return
    secrets.addCredentials(found)
    wallet.replace(old, found)
    await credentials.renewed?.({ ...queryOf(target), refused: old }, found)
  }

  async function bearer(target: AuthTarget, { tokens, needs }: Session, method: BearerService) {
    const own = await credentialsFor(target)
    if (own !== undefined) checkProtected(target, transport)
    if (own?.type === 'registry-token') return own.token
    const wanted = wantedScopes(target)
    const scopes = needs.get(wanted.join(' ')) ?? wanted
    const fetch = (signal: AbortSignal) => request(target, method, scopes, signal)
    return (await tokens.get(scopes, fetch, target.signal)).value
  }

  /** Whether credentials of this type are of no use: there are none, or they were refused and there are no others. */
  async function isHopeless(
    target: AuthTarget,
    type: Credentials['type'],
    used: string | undefined,
  ) {
    const own = await credentialsFor(target)
    if (own?.type !== type) return true
    return used !== undefined && (await otherCredentials(target, own))?.type !== type
  }

  return {
    async authorization(target) {
      const session = sessions.get(sessionKey(target))
      if (session === undefined) return undefined
      const { method } = session
      if (method.scheme === 'bearer') return `Bearer ${await bearer(target, session, method)}`
      const own = await credentialsFor(target)
      if (own?.type !== 'password') return undefined
      checkProtected(target, transport)
      return `Basic ${encodeBasic(own.username, own.password)}`
    },
    async accept(target, challenges, used) {
      const round = (answers.get(target) ?? 0) + 1
      answers.set(target, round)
      const chosen = chooseMethod(target, challenges, transport)
      if (chosen === undefined || round > MAX_ANSWERS) return false
      const key = sessionKey(target)
      if (chosen.scheme === 'basic') {
        // A second refusal in one request is final.
        const final = round > 2 || (await isHopeless(target, 'password', used))
        if (!final) sessions.set(key, newSession(chosen))
        return !final
      }
      const old = sessions.get(key)
      const isSame = old?.method.scheme === 'bearer' && isSameService(old.method, chosen)
      const session = isSame && old !== undefined ? old : newSession(chosen)
      const wanted = wantedScopes(target)
      const isOwn = (await credentialsFor(target))?.type === 'registry-token'
      if (isOwn && used !== undefined) return !(await isHopeless(target, 'registry-token', used))
      // What the challenge names is what the registry wants; the default is only a guess at that.
      const named = parseScopes(chosen.scope)
      const need =
        target.scopes === undefined && named.length > 0 ? named : unionScopes(wanted, named)
      const before = session.needs.get(wanted.join(' '))
      session.needs.set(wanted.join(' '), need)
      sessions.set(key, session)
      const value = used?.replace(/^Bearer /, '')
      if (value !== undefined) session.tokens.drop(value)
      // A token just fetched for exactly this, and refused: another one will fare no better.
      return round === 1 || before?.join(' ') !== need.join(' ')
    },
    secrets: () => [...secrets],
  }
}

function newSession(method: Method): Session {
  return { method, tokens: createTokenCache(), needs: new Map() }
}

function isSameService(one: BearerService, other: BearerService): boolean {
  return one.realm.href === other.realm.href && one.service === other.service
}

function wantedScopes({ scopes, repository }: AuthTarget): Scopes {
  if (scopes !== undefined) return unionScopes(scopes)
  return repository === undefined ? [] : [repositoryScope(repository, 'pull')]
}

function sessionKey({ registry, repository }: AuthTarget): string {
  return `${registry}/${repository ?? ''}`
}

function queryOf({ registry, repository }: AuthTarget): CredentialQuery {
  return { registry, ...(repository === undefined ? {} : { repository }) }
}

/** Whoever else sets `base` may be mistaken: no secret goes where everybody on the way can read it. */
function checkProtected(target: AuthTarget, { plainHttp }: Transport): void {
  const { registry, base } = target
  if (base.protocol === 'https:' || isLoopbackHost(base.host)) return
  if (target.plainHttp || plainHttp.has(base.host)) return
  throw new RegistryError(
    'ERR_REGISTRY_TLS',
    `credentials for ${registry} are not sent to ${base.origin}: it has no TLS`,
    {
      host: base.host,
      url: base.href,
      hint: `to send them all the same, allow plain HTTP with ${base.host}`,
    },
  )
}
