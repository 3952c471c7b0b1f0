import { RegistryError } from '../errors.ts'
import { unsafeHop } from '../http/host-rules.ts'
import type { Transport } from '../http/transport.ts'
import type { Challenge } from './challenge.ts'
import type { TokenService } from './token-service.ts'

/** A way to authenticate that a registry offers and we know. */
export type Method = { scheme: 'basic' } | BearerService

/** A token service, and what its token is to be for in the words of the challenge. */
export interface BearerService extends TokenService {
  scheme: 'bearer'
  scope?: string
}

/**
 * The best of what is offered: tokens, then name and password. Undefined if there is nothing we know.
 *
 * Throws `ERR_REGISTRY_UNSAFE_REALM`.
 */
export function chooseMethod(
  from: { registry: string; base: URL },
  challenges: Challenge[],
  transport: Transport,
): Method | undefined {
  const bearer = challenges.find(({ scheme }) => scheme === 'bearer')
  const isBasic = challenges.some(({ scheme }) => scheme === 'basic')
  // Without a realm there is no token service; with basic beside it, that may have been meant.
  if (bearer !== undefined && (bearer.parameters['realm'] || !isBasic)) {
    return bearerService(from, bearer, transport)
  }
  return isBasic ? { scheme: 'basic' } : undefined
}

/**
 * A registry may send the client anywhere with its realm, and the client goes there with its
 * credentials: hence only where TLS or the loopback interface protects them (CVE-2026-48978).
 */
function bearerService(
  { registry, base }: { registry: string; base: URL },
  { parameters }: Challenge,
  transport: Transport,
): BearerService {
  const realm = parameters['realm'] ?? ''
  if (!URL.canParse(realm)) throw unsafeRealm(registry, realm, 'it is not a URL')
  const url = new URL(realm)
  const reason =
    url.username || url.password ? 'it holds credentials' : unsafeHop(base, url, transport)
  if (reason !== undefined) throw unsafeRealm(registry, url.origin, reason)
  const { service, scope } = parameters
  return {
    scheme: 'bearer',
    realm: url,
    ...(service === undefined ? {} : { service }),
    ...(scope === undefined ? {} : { scope }),
  }
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
