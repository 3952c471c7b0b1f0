import { BlockList, isIP, isIPv4 } from 'node:net'

/**
 * What kind of place an IP address is.
 *
 * `metadata` are the addresses at which machines in a data centre find their own secrets, `special` those
 * that no server in the world has: documentation, benchmarks, multicast, reserved.
 */
export type AddressZone = 'public' | 'private' | 'loopback' | 'link-local' | 'metadata' | 'special'

/** Why a registry must not lead there. */
export const ZONE_REASONS: Readonly<Record<Exclude<AddressZone, 'public'>, string>> = {
  private: 'it is a private address',
  loopback: 'it is an address of this machine',
  'link-local': 'it is a link-local address',
  metadata: 'it is the address of a metadata service',
  special: 'no server has such an address',
}

/** Of several zones that hold an address, the first one counts. */
const ZONES: ReadonlyArray<[Exclude<AddressZone, 'public'>, readonly string[]]> = [
  // Azure's wire server, Alibaba, Oracle; AWS and Google by IPv6. The usual 169.254.169.254 is link-local.
  [
    'metadata',
    [
      '168.63.129.16/32',
      '100.100.100.200/32',
      '192.0.0.192/32',
      'fd00:ec2::254/128',
      'fd20:ce::254/128',
    ],
  ],
  // 0.0.0.0 and :: mean this machine to those who connect.
  ['loopback', ['127.0.0.0/8', '0.0.0.0/8', '::1/128', '::/128']],
  ['link-local', ['169.254.0.0/16', 'fe80::/10']],
  // RFC 1918, carrier-grade NAT (RFC 6598), unique local addresses (RFC 4193), the old site-local ones.
  [
    'private',
    ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7', 'fec0::/10'],
  ],
  // The rest of IANA's special-purpose registries (RFC 6890).
  [
    'special',
    [
      '192.0.0.0/24',
      '192.0.2.0/24',
      '192.88.99.0/24',
      '198.18.0.0/15',
      '198.51.100.0/24',
      '203.0.113.0/24',
      '224.0.0.0/4',
      '240.0.0.0/4',
      '100::/64',
      '2001:db8::/32',
      '3fff::/20',
      '5f00::/16',
      'ff00::/8',
    ],
  ],
]

const LISTS = ZONES.map(([zone, networks]) => [zone, blockList(networks)] as const)

/** The zone of an IP address. What is none is `special`: nobody may go there. */
export function zoneOf(address: string): AddressZone {
  const bare = address.replace(/^\[|\]$/g, '').replace(/%.*$/, '')
  const family = isIP(bare)
  if (family === 0) return 'special'
  const embedded = family === 6 ? embeddedIpv4(bare) : undefined
  if (embedded !== undefined) return zoneOf(embedded)
  const type = family === 4 ? 'ipv4' : 'ipv6'
  return LISTS.find(([, list]) => list.check(bare, type))?.[0] ?? 'public'
}

/**
 * The IPv4 address that an IPv6 address leads to: mapped (`::ffff:a.b.c.d`), compatible (`::a.b.c.d`),
 * NAT64 (`64:ff9b::`, `64:ff9b:1::`) and 6to4 (`2002:`).
 */
function embeddedIpv4(address: string): string | undefined {
  const groups = expandIpv6(address)
  const text = groups.map((group) => group.toString(16)).join(':')
  const [high = 0, low = 0] = groups.slice(6)
  if (text.startsWith('2002:')) return dotted(groups[1] ?? 0, groups[2] ?? 0)
  if (/^64:ff9b:[01]:/.test(text) || text.startsWith('0:0:0:0:0:ffff:')) return dotted(high, low)
  if (text.startsWith('0:0:0:0:ffff:0:')) return dotted(high, low) // translated, RFC 2765
  const compatible = text.startsWith('0:0:0:0:0:0:') && high > 0
  return compatible ? dotted(high, low) : undefined
}

function dotted(high: number, low: number): string {
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}

/** The eight groups of a valid IPv6 address. */
function expandIpv6(address: string): number[] {
  const last = address.slice(address.lastIndexOf(':') + 1)
  const plain = isIPv4(last) ? address.slice(0, -last.length) + hexOf(last) : address
  const [head = '', tail] = plain.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0')
  return [...before, ...zeros, ...after].map((group) => Number.parseInt(group, 16))
}

function hexOf(ipv4: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = ipv4.split('.').map(Number)
  return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`
}

function blockList(networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', bits = ''] = network.split('/')
    list.addSubnet(address, Number(bits), isIPv4(address) ? 'ipv4' : 'ipv6')
  }
  return list
}
