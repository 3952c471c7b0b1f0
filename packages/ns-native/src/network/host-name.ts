import { isIPv6 } from 'node:net'
import { unmapped } from './address-set.ts'
import { isAddress } from './endpoint.ts'

/** A host and a port. */
export interface HostAndPort {
  /** Lower case, no trailing dot, no brackets; addresses in their one canonical form. */
  host: string
  port: number
}

const NAME_MAX = 253

/**
 * The one spelling of a host: what is compared with the policy is what is resolved. Undefined for
 * what is neither a name nor an address.
 */
export function canonicalHost(text: string): string | undefined {
  const bare = text.endsWith('.') ? text.slice(0, -1) : text
  const bracketed = /^\[([0-9a-f:.]+)\]$/i.exec(bare)?.[1]
  if (bracketed !== undefined) return isIPv6(bracketed) ? canonicalAddress(bracketed) : undefined
  if (!/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/i.test(bare) || bare.length > NAME_MAX) return undefined
  // The URL standard knows that 127.1, 0x7f000001 and 2130706433 are 127.0.0.1, as resolvers do.
  return URL.canParse(`http://${bare}/`) ? new URL(`http://${bare}/`).hostname : undefined
}

function canonicalAddress(address: string): string {
  return isAddress(address) && isIPv6(address)
    ? unmapped(new URL(`http://[${address}]/`).hostname.slice(1, -1))
    : address
}

/** `host:port` as in a CONNECT request or a URL; the port may only be left out with a default. */
export function parseAuthority(text: string, defaultPort?: number): HostAndPort | undefined {
  const [, name = '', digits] = /^(\[[^\]]*\]|[^:[\]]*)(?::(\d{1,5}))?$/.exec(text) ?? []
  const host = canonicalHost(name)
  const port = digits === undefined ? defaultPort : Number(digits)
  if (host === undefined || port === undefined || port < 1 || port > 0xffff) return undefined
  return { host, port }
}

/** As in a URL; without the port where it is the scheme's own. */
export function formatAuthority({ host, port }: HostAndPort, defaultPort?: number): string {
  const name = isIPv6(host) ? `[${host}]` : host
  return port === defaultPort ? name : `${name}:${port}`
}
