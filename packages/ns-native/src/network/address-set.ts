import { BlockList, isIP, isIPv4 } from 'node:net'
import { networkInterfaces } from 'node:os'
import { addressBytes } from './endpoint.ts'

// IANA's special-purpose registries (RFC 6890): not of the Internet, or not of one place in it.
const SPECIAL_IPV4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  // Azure's host agent, which answers its machines only and hands out their credentials
  '168.63.129.16/32',
]

// Of IPv6 only what is global unicast now, without what tunnels IPv4 and what is documentation.
const GLOBAL_IPV6 = '2000::/3'
const SPECIAL_IPV6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20']
// NAT64 (RFC 6052): the address meant is the IPv4 one in the last four bytes.
const NAT64 = '64:ff9b::/96'

/** IP addresses and networks, as `192.0.2.1` or `192.0.2.0/24`. */
export class AddressSet {
  readonly #list = new BlockList()

  /** Throws TypeError for what is neither. */
  constructor(networks: readonly string[]) {
    for (const network of networks) this.#add(network)
  }

  has(address: string): boolean {
    const plain = unmapped(address)
    return this.#list.check(plain, isIPv4(plain) ? 'ipv4' : 'ipv6')
  }

  #add(network: string): void {
    const [address = '', prefix, ...more] = network.split('/')
    const version = isIP(address)
    const bits = version === 4 ? 32 : 128
    const length = prefix === undefined ? bits : Number(prefix)
    const valid = version !== 0 && !address.includes('%') && /^\d{1,3}$/.test(prefix ?? '0')
    if (!valid || more.length > 0 || length > bits) {
      throw new TypeError(`expected an address or network, but received ${JSON.stringify(network)}`)
    }
    this.#list.addSubnet(address, length, version === 4 ? 'ipv4' : 'ipv6')
  }
}

const special = new AddressSet([...SPECIAL_IPV4, ...SPECIAL_IPV6])
const global = new AddressSet([GLOBAL_IPV6])
const nat64 = new AddressSet([NAT64])
const loopback = new AddressSet(['127.0.0.0/8', '::1'])

/**
 * Whether an address is somebody else's on the Internet: not loopback, private, link-local (where
 * clouds keep their credentials), multicast or reserved, and not this machine's own either.
 */
export function isPublicAddress(address: string): boolean {
  const plain = unmapped(address)
  if (isIPv4(plain)) return !special.has(plain) && !isOwn(plain)
  if (nat64.has(plain)) return isPublicAddress([...addressBytes(plain).subarray(12)].join('.'))
  return global.has(plain) && !special.has(plain) && !isOwn(plain)
}

export function isLoopback(address: string): boolean {
  return loopback.has(address)
}

/** `::ffff:127.0.0.1`, in whatever spelling, is 127.0.0.1. */
export function unmapped(address: string): string {
  if (isIPv4(address)) return address
  const bytes = addressBytes(address)
  const mapped = bytes.subarray(0, 12).equals(Buffer.from('00000000000000000000ffff', 'hex'))
  return mapped ? [...bytes.subarray(12)].join('.') : address
}

// A service that a firewall hides from the world listens on these.
function isOwn(address: string): boolean {
  const bytes = addressBytes(address)
  return Object.values(networkInterfaces()).some((addresses) =>
    addresses?.some((own) => addressBytes(own.address).equals(bytes)),
  )
}
