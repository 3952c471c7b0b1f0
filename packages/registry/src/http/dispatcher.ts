import * as tls from 'node:tls'
import type { buildConnector, Dispatcher } from 'undici'
import type { TlsSettings } from '../hosts/endpoint.ts'
import { guardedConnect, type ResolveName } from './guarded-connect.ts'
import type { HopGuard } from './hop-guard.ts'

/** What decides which connections a request may share. */
export interface Route {
  /** Undefined for a direct connection. */
  proxy?: string | undefined
  tls: TlsSettings
  /** The host that led to this one; undefined if the caller named it. */
  by?: string | undefined
}

/** Options of {@link createDispatchers}. */
export interface DispatcherOptions {
  /** Trusted besides Node's authorities and those of a route, also at a proxy. In PEM. */
  ca: readonly string[]
  connectMs: number
  guard: HopGuard
  resolveName?: ResolveName | undefined
  /** Used for everything instead. */
  given?: Dispatcher | undefined
}

/** undici's connection pools: one for each route. */
export interface Dispatchers {
  dispatcherFor(route: Route): Dispatcher
  close(): Promise<void>
}

/** Load what of undici is needed, and make the pools as they are needed. */
export async function createDispatchers(options: DispatcherOptions): Promise<Dispatchers> {
  const { given, ca, connectMs: timeout, guard, resolveName } = options
  if (given !== undefined) return { dispatcherFor: () => given, close: async () => {} }
  const { Agent, ProxyAgent, buildConnector: makeConnector } = await loadUndici()
  const pools = new Map<string, Dispatcher>()

  function openPool({ proxy, tls: settings, by }: Route): Dispatcher {
    const secure = { timeout, ...connectOptions(settings, ca) }
    if (proxy === undefined) {
      return new Agent({
        connect: guardedConnect(makeConnector, secure, { guard, by, resolveName }),
      })
    }
    const { uri, token } = splitProxy(proxy)
    const proxyTls = { timeout, ...connectOptions({}, ca) }
    return new ProxyAgent({ uri, requestTls: secure, proxyTls, ...(token ? { token } : {}) })
  }

  return {
    dispatcherFor(route) {
      const key = JSON.stringify([route.proxy ?? '', route.by ?? '', route.tls])
      const pool = pools.get(key) ?? openPool(route)
      pools.set(key, pool)
      return pool
    },
    async close() {
      await Promise.all([...pools.values()].map((pool) => pool.destroy()))
    },
  }
}

/**
 * The parts of undici that are needed. All of it takes three times as long to load, and 10 MB more; where
 * another version keeps its parts elsewhere, all of it is loaded.
 */
async function loadUndici(): Promise<
  Pick<typeof import('undici'), 'Agent' | 'ProxyAgent' | 'buildConnector'>
> {
  try {
    const { default: Dispatcher } = await import('undici/lib/dispatcher/dispatcher.js')
    const { default: Agent } = await import('undici/lib/dispatcher/agent.js')
    const { default: ProxyAgent } = await import('undici/lib/dispatcher/proxy-agent.js')
    const { default: buildConnector } = await import('undici/lib/core/connect.js')
    const { default: methods } = await import('undici/lib/api/index.js')
    Object.assign(Dispatcher.prototype, methods) // as the whole does
    return { Agent, ProxyAgent, buildConnector }
  } catch {
    return import('undici')
  }
}

/** The context is made once: it holds every authority, and would otherwise be made for each connection. */
function connectOptions(
  { ca = [], cert, key, insecure }: TlsSettings,
  trusted: readonly string[],
): buildConnector.BuildOptions {
  const unchecked = insecure ? { rejectUnauthorized: false } : {}
  const authorities = [...trusted, ...ca]
  if (authorities.length === 0 && cert === undefined) return unchecked
  const secureContext = tls.createSecureContext({
    ...(authorities.length === 0 ? {} : { ca: [...defaultAuthorities(), ...authorities] }),
    ...(cert === undefined ? {} : { cert, key }),
  })
  return { ...unchecked, secureContext }
}

/** undici takes a user without a password for nobody. */
function splitProxy(proxy: string): { uri: string; token?: string } {
  const url = new URL(proxy)
  const { username, password } = url
  url.username = ''
  url.password = ''
  if (username === '' && password === '') return { uri: url.href }
  const pair = `${decode(username)}:${decode(password)}`
  return { uri: url.href, token: `Basic ${Buffer.from(pair, 'utf8').toString('base64')}` }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text // a lone percent sign is one
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
