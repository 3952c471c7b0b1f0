import type { ProxyOptions } from './gatekeeper.ts'
import type { NetworkProxy } from './proxy.ts'

/**
 * A proxy that is a container's only way out: give its spec `network: { listen: [{ port: PROXY_PORT }] }`
 * and its program `proxyEnvironment()`, and after the launch `serve` the listener.
 *
 * Throws ERR_NS_POLICY for a pattern or address that makes no sense.
 */
export async function createProxy(options: ProxyOptions): Promise<NetworkProxy> {
  // node:http takes milliseconds to load, which only those who use it are to pay
  const proxy = await import('./proxy.ts')
  return new proxy.NetworkProxy(options)
}
