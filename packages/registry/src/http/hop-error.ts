import { RegistryError } from '../errors.ts'
import type { Lead } from './network-policy.ts'

const WHAT: Record<Lead['as'], string> = {
  realm: 'a token must not be fetched from',
  redirect: 'a redirect is not followed to',
  upload: 'an upload is not sent to',
  foreign: 'a foreign layer is not fetched from',
}

const HINT =
  'the registry is misconfigured, or not what it says it is; if it may lead there, name the host in ' +
  '`network.trustedRealms`'

/** A URL that a registry must not lead to, before anything was sent there. */
export function unsafeHopError(
  { by, as }: Lead,
  { method, url }: { method: string; url: URL },
  reason: string,
): RegistryError {
  const code = as === 'realm' ? 'ERR_REGISTRY_UNSAFE_REALM' : 'ERR_REGISTRY_UNSAFE_REDIRECT'
  const message = `${WHAT[as]} ${url.origin}, where ${by.host} leads: ${reason}`
  return new RegistryError(code, message, { method, url: url.href, host: url.host, hint: HINT })
}

/** A connection that was refused by the address that the name resolved to. */
export function refusedAddress(
  lead: Lead | undefined,
  request: { method: string; url: URL },
  reason: string,
): RegistryError {
  const { url } = request
  return unsafeHopError(lead ?? { by: url, as: 'redirect' }, request, reason)
}
