import { isIP } from 'node:net'
import { ZONE_REASONS, zoneOf } from './address.ts'

/**
 * The host that answers for a registry's name: Docker Hub's API lives elsewhere than its name says.
 */
export function apiHost(registry: string): string {
  return registry === 'docker.io' ? 'registry-1.docker.io' : registry
}

/** Whether the host, with or without a port, is this machine: `localhost`, `127.…`, `[::1]`. */
export function isLoopbackHost(host: string): boolean {
  const name = hostName(host)
  return (
    name === 'localhost' ||
    name.endsWith('.localhost') ||
    name === '[::1]' ||
    /^127(?:\.\d{1,3}){3}$/.test(name)
  )
}

/** Names of services that tell machines in a data centre their own secrets. */
const METADATA_NAMES = new Set(['metadata', 'metadata.google.internal', 'instance-data'])

function hostName(host: string): string {
  return host.toLowerCase().replace(/:\d+$/, '').replace(/\.$/, '')
}

/** Exceptions that the caller made, by `host` or `host:port`. */
export interface PlainHttpRule {
  /** May be spoken to without TLS, as loopback may. */
  plainHttp: ReadonlySet<string>
  /** May be led to wherever they are. */
  trustedHosts?: ReadonlySet<string>
}

/**
 * Why a registry must not send a client on to this URL, as far as the URL itself says; undefined if it may.
 *
 * TLS is never given up, and a registry elsewhere cannot make the client speak to this machine or to
 * a metadata service. What a name resolves to is checked where the connection is made.
 */
export function unsafeHop(from: URL, to: URL, rule: PlainHttpRule): string | undefined {
  const { plainHttp, trustedHosts = new Set() } = rule
  if (to.protocol !== 'https:' && to.protocol !== 'http:') return `${to.protocol} is not HTTP`
  if (to.origin === from.origin) return undefined
  const expected =
    to.hostname === from.hostname || trustedHosts.has(to.host) || trustedHosts.has(to.hostname)
  const where = expected ? undefined : unsafePlace(from, to)
  if (where !== undefined) return where
  if (to.protocol === 'https:') return undefined
  if (from.protocol === 'https:') return 'it gives up TLS'
  return isLoopbackHost(to.host) || plainHttp.has(to.host) ? undefined : 'it is not https'
}

function unsafePlace(from: URL, to: URL): string | undefined {
  const name = hostName(to.host)
  if (isLoopbackHost(to.host)) {
    return isLoopbackHost(from.host) ? undefined : 'it is an address of this machine'
  }
  if (METADATA_NAMES.has(name)) return 'it is a metadata service'
  const zone = isIP(unbracketed(name)) === 0 ? 'public' : zoneOf(name)
  return zone === 'public' || zone === 'private' ? undefined : ZONE_REASONS[zone]
}

function unbracketed(name: string): string {
  return name.replace(/^\[|\]$/g, '')
}
