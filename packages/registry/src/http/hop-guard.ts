import { isIP } from 'node:net'
import { type AddressZone, zoneOf as realZoneOf, ZONE_REASONS } from './address.ts'
import type { NetworkPolicy } from './network-policy.ts'

/** A connection about to be made. */
export interface Connection {
  /** The name or address in the URL, without brackets. */
  host: string
  port: number
  /** Of the URL: `https:`. */
  protocol: string
  /** The host that led there; undefined if the caller named this one. */
  by?: string | undefined
}

/** Decides by IP address which connections may be made; names do not get around it. */
export interface HopGuard {
  /** Why this address must not be connected to; undefined if it may. */
  refusal(connection: Connection, address: string): string | undefined
  /** Remember that a host was reached at an address. */
  reached(host: string, address: string): void
}

/** What is known of a host: where it was last reached. */
interface Known {
  zone: AddressZone
  addresses: Set<string>
}

/** Make a guard; `zoneOf` is replaced by tests, which have nothing but loopback. */
export function createHopGuard(
  policy: NetworkPolicy = {},
  zoneOf: (address: string) => AddressZone = realZoneOf,
): HopGuard {
  const { allowPrivate = 'same-origin', trustedRealms = [] } = policy
  const trusted = new Set(trustedRealms.map((host) => host.toLowerCase()))
  const hosts = new Map<string, Known>()

  function knownOf(host: string): Known | undefined {
    const known = hosts.get(host)
    if (known !== undefined || isIP(host) === 0) return known
    return { zone: zoneOf(host), addresses: new Set([host]) }
  }

  /** A host that the caller named may be anywhere; but without TLS a name must not wander inwards. */
  function rebound({ host, protocol }: Connection, zone: AddressZone): string | undefined {
    const before = hosts.get(host)?.zone
    if (protocol === 'https:' || before !== 'public' || zone === 'public') return undefined
    return `${ZONE_REASONS[zone]}, and ${host} had a public one before`
  }

  function ledTo({ host, by = '' }: Connection, address: string, zone: AddressZone) {
    if (zone === 'public') return undefined
    const reason = ZONE_REASONS[zone]
    const leader = knownOf(by)
    if (leader === undefined || leader.zone === 'public' || allowPrivate === false) return reason
    if (zone === 'special') return reason
    if (zone === 'loopback') return leader.zone === 'loopback' ? undefined : reason
    const own = leader.addresses.has(address) || (host === by && zone === leader.zone)
    if (own || (zone === 'private' && allowPrivate === true)) return undefined
    return zone === 'private' ? `${reason}, and not one of ${by}` : reason
  }

  return {
    refusal(connection, address) {
      const { host, port, by } = connection
      const zone = zoneOf(address)
      if (by === undefined) return rebound(connection, zone)
      const isTrusted = trusted.has(host) || trusted.has(`${host}:${port}`)
      return isTrusted ? undefined : ledTo(connection, address, zone)
    },
    reached(host, address) {
      const zone = zoneOf(address)
      const known = hosts.get(host)
      if (known?.zone === zone) known.addresses.add(address)
      else hosts.set(host, { zone, addresses: new Set([address]) })
    },
  }
}
