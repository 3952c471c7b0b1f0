import * as tls from 'node:tls'
import type { Dispatcher } from 'undici'
import type { TransportOptions } from './transport.ts'

/** undici's connection pools: one for direct connections, one for each proxy. */
export interface Dispatchers {
  dispatcherFor(proxy: string | undefined): Dispatcher
  close(): Promise<void>
}

/** Load undici, which costs tens of milliseconds, and make the pools as they are needed. */
export async function createDispatcher(options: TransportOptions): Promise<Dispatchers> {
  const given = options.dispatcher
  if (given !== undefined) return { dispatcherFor: () => given, close: async () => {} }
  const { Agent, ProxyAgent } = await import('undici')
  const timeout = options.timeouts?.connectMs ?? 15_000
  const trust =
    options.ca === undefined ? {} : { ca: [...defaultAuthorities(), ...[options.ca].flat()] }
  const pools = new Map<string | undefined, Dispatcher>()

  function openPool(proxy: string | undefined): Dispatcher {
    if (proxy === undefined) return new Agent({ connect: { timeout, ...trust } })
    const secure = { timeout, ...trust }
    return new ProxyAgent({ uri: proxy, requestTls: secure, proxyTls: secure })
  }

  return {
    dispatcherFor(proxy) {
      const pool = pools.get(proxy) ?? openPool(proxy)
      pools.set(proxy, pool)
      return pool
    },
    async close() {
      await Promise.all([...pools.values()].map((pool) => pool.destroy()))
    },
  }
}

/**
 * Giving `ca` replaces Node's authorities, so they are given again. Node 22.15 and later also tells those
 * of NODE_EXTRA_CA_CERTS; before, who uses both must pass those too.
 */
function defaultAuthorities(): readonly string[] {
  const get: unknown = Reflect.get(tls, 'getCACertificates')
  const found: unknown = typeof get === 'function' ? get('default') : undefined
  return Array.isArray(found) ? found : tls.rootCertificates
}
