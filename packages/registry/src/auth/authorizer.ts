import { RegistryError } from '../errors.ts'
import type { TlsSettings } from '../hosts/endpoint.ts'
import { unsafeHop } from '../http/host-rules.ts'
import type { Transport } from '../http/transport.ts'
import type { Challenge } from './challenge.ts'
import type { CredentialProvider, Credentials } from './credentials.ts'
import { fetchToken, type Token, type TokenService } from './token-service.ts'

/** What a request is about to touch. */
export interface AuthTarget {
  registry: string
  /** The registry's API. */
  base: URL
  repository?: string | undefined
  /** What a token must be good for, in the token service's form: `repository:team/app:pull,push`, `registry:catalog:*`. */
  scopes?: readonly string[] | undefined
  signal?: AbortSignal | undefined
  /** How TLS is spoken with the registry. */
  tls?: TlsSettings | undefined
}

/** Answers a registry's challenges, and remembers what worked. */
export interface Authorizer {
  /** The `Authorization` header to send; undefined as long as the registry asked for none. */
  authorization(target: AuthTarget): Promise<string | undefined>
  /**
   * Take up the challenges of a 401. Returns whether to ask again, which it is not without credentials
   * for a registry that wants some. `used` is what was sent. Throws `ERR_REGISTRY_UNSAFE_REALM` and
   * what asking the token service and the credentials throws.
   */
  accept(target: AuthTarget, challenges: Challenge[], used: string | undefined): Promise<boolean>
  /** Everything secret that was sent or received so far, to be masked in what the registry says. */
  secrets(): string[]
}

type Method = { scheme: 'basic' } | ({ scheme: 'bearer' } & TokenService)

interface Grant {
  method: Method
  token: Promise<Token> | undefined
}

/** A token is renewed this long before it ends, so that it does not end on the way. */
const EXPIRY_MARGIN_MS = 5_000

/** Make an authorizer that asks `credentials` once for each repository and keeps tokens until they expire. */
export function createAuthorizer(
  transport: Transport,
  credentials: CredentialProvider = async () => undefined,
): Authorizer {
  const grants = new Map<string, Grant>()
  const known = new Map<string, Promise<Credentials | undefined>>()
  const secrets = new Set<string>()

  function credentialsFor({ registry, repository, signal }: AuthTarget) {
    const key = `${registry}/${repository ?? ''}`
    const query = { registry, signal, ...(repository === undefined ? {} : { repository }) }
    const found = known.get(key) ?? credentials(query).then((value) => remember(value))
    known.set(key, found)
    found.catch(() => known.delete(key))
    return found
  }

  function remember(found: Credentials | undefined): Credentials | undefined {
    if (found?.type === 'identity-token') secrets.add(found.token)
    if (found?.type === 'password') {
      secrets.add(found.password)
      secrets.add(encodeBasic(found))
    }
    return found
  }

  async function requestToken(target: AuthTarget, service: TokenService): Promise<Token> {
    const token = await fetchToken(transport, service, {
      registry: target.registry,
      base: target.base,
      tls: target.tls,
      credentials: await credentialsFor(target),
      secrets,
    })
    secrets.add(token.value)
    return token
  }

  async function currentToken(target: AuthTarget, grant: Grant): Promise<string> {
    const { method } = grant
    if (method.scheme !== 'bearer') return ''
    const cached = await grant.token?.catch(() => undefined)
    if (cached !== undefined && cached.expiresAt - EXPIRY_MARGIN_MS > performance.now()) {
      return cached.value
    }
    const pending = requestToken(target, method)
    grant.token = pending
    return (await pending).value
  }

  return {
    async authorization(target) {
      const grant = grants.get(grantKey(target))
      if (grant === undefined) return undefined
      if (grant.method.scheme === 'bearer') return `Bearer ${await currentToken(target, grant)}`
      const found = await credentialsFor(target)
      return found?.type === 'password' ? `Basic ${encodeBasic(found)}` : undefined
    },
    async accept(target, challenges, used) {
      const method = chooseMethod(target, challenges, transport)
      if (method === undefined) return false
      if (method.scheme === 'basic') {
        if (used !== undefined || (await credentialsFor(target))?.type !== 'password') return false
      }
      const scope = method.scheme === 'bearer' && !method.scope ? defaultScope(target) : {}
      grants.set(grantKey(target), { method: { ...method, ...scope }, token: undefined })
      return true
    },
    secrets: () => [...secrets],
  }
}

function chooseMethod(
  target: AuthTarget,
  challenges: Challenge[],
  transport: Transport,
): Method | undefined {
  const bearer = challenges.find(({ scheme }) => scheme === 'bearer')
  if (bearer !== undefined) return { scheme: 'bearer', ...tokenService(target, bearer, transport) }
  return challenges.some(({ scheme }) => scheme === 'basic') ? { scheme: 'basic' } : undefined
}

/**
 * A registry may send the client anywhere with its realm, and the client goes there with its
 * credentials: hence only where TLS or the loopback interface protects them (CVE-2026-48978).
 */
function tokenService(
  { registry, base }: AuthTarget,
  { parameters }: Challenge,
  transport: Transport,
): TokenService {
  const realm = parameters['realm'] ?? ''
  if (!URL.canParse(realm)) throw unsafeRealm(registry, realm, 'it is not a URL')
  const url = new URL(realm)
  const reason =
    url.username || url.password ? 'it holds credentials' : unsafeHop(base, url, transport)
  if (reason !== undefined) throw unsafeRealm(registry, url.origin, reason)
  const { service, scope } = parameters
  return {
    realm: url,
    ...(service === undefined ? {} : { service }),
    ...(scope === undefined ? {} : { scope }),
  }
}

function defaultScope({ repository }: AuthTarget): { scope?: string } {
  return repository === undefined ? {} : { scope: `repository:${repository}:pull` }
}

function grantKey({ registry, repository }: AuthTarget): string {
  return `${registry}/${repository ?? ''}`
}

function encodeBasic({ username, password }: { username: string; password: string }): string {
  return Buffer.from(`${username}:${password}`, 'utf8').toString('base64')
}

function unsafeRealm(registry: string, realm: string, reason: string): RegistryError {
  return new RegistryError(
    'ERR_REGISTRY_UNSAFE_REALM',
    `${registry} wants a token fetched from ${realm}, which is refused: ${reason}`,
    {
      host: registry,
      url: realm,
      hint: 'the registry is misconfigured, or not what it says it is',
    },
  )
}
