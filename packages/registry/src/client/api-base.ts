import { isRegistryError, RegistryError, type RegistryErrorCode } from '../errors.ts'
import type { Endpoint } from '../hosts/endpoint.ts'
import { isLoopbackHost } from '../http/host-rules.ts'
import { isNotTls } from '../http/network-error.ts'
import type { Transport } from '../http/transport.ts'

/**
 * Where an endpoint's API begins, once it is known whether it speaks TLS.
 *
 * It must, except for hosts named by the caller, for this machine if the registry there has none, and for
 * hosts that a rule calls insecure.
 */
export async function findBase(transport: Transport, endpoint: Endpoint): Promise<URL> {
  const { base, scheme } = endpoint
  const plain = new URL(base)
  plain.protocol = 'http:'
  if (transport.plainHttp.has(base.host)) return plain
  if (scheme === 'fixed') return base
  if (isLoopbackHost(base.host)) return findLoopbackBase(transport, endpoint, plain)
  if (scheme === 'by-name') return base
  return (await speaksTls(transport, endpoint)) ? base : plain
}

async function findLoopbackBase(
  transport: Transport,
  endpoint: Endpoint,
  plain: URL,
): Promise<URL> {
  const { base, tls } = endpoint
  try {
    const response = await transport.request({ method: 'GET', url: plain, tls })
    response.cancel()
    // This is how servers of TLS answer those who do not speak it.
    return response.status === 400 && (await speaksTls(transport, endpoint)) ? base : plain
  } catch (error) {
    if (error instanceof RegistryError && ANSWERED_OTHERWISE.has(error.code)) {
      if (await speaksTls(transport, endpoint)) return base
    }
    throw error
  }
}

const ANSWERED_OTHERWISE = new Set<RegistryErrorCode>([
  'ERR_REGISTRY_UNREACHABLE',
  'ERR_REGISTRY_PROTOCOL',
])

/** A certificate that is not trusted is TLS too; the request proper then says so. */
async function speaksTls(transport: Transport, { base, tls }: Endpoint): Promise<boolean> {
  try {
    ;(await transport.request({ method: 'GET', url: base, tls })).cancel()
    return true
  } catch (error) {
    return isRegistryError(error, 'ERR_REGISTRY_TLS') && !isNotTls(error)
  }
}
