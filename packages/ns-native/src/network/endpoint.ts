import { isIPv4, isIPv6 } from 'node:net'
import type { InnerAddress } from '../launch-spec.ts'

export const LOOPBACK = '127.0.0.1'

const ENDPOINT_BYTES = 20

/** The `endpoint` of native/init/records.h; the address has been checked. */
export function encodeEndpoint({ host = LOOPBACK, port }: InnerAddress): Buffer {
  const bytes = Buffer.alloc(ENDPOINT_BYTES)
  bytes.writeUInt16LE(isIPv4(host) ? 4 : 6, 0)
  bytes.writeUInt16LE(port, 2)
  addressBytes(host).copy(bytes, 4)
  return bytes
}

/** An address without a zone, which would name an interface of ours and not of the container. */
export function isAddress(host: string): boolean {
  return isIPv4(host) || (isIPv6(host) && !host.includes('%'))
}

/** As in a URL: `127.0.0.1:80`, `[::1]:80`. */
export function addressText({ host = LOOPBACK, port }: InnerAddress): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`
}

/** The 4 or 16 bytes of an IP address. */
export function addressBytes(host: string): Buffer {
  return isIPv4(host) ? Buffer.from(host.split('.').map(Number)) : ipv6Bytes(host)
}

function ipv6Bytes(host: string): Buffer {
  // The URL standard's form: hexadecimal groups, with at most one "::".
  const canonical = new URL(`http://[${host}]`).hostname.slice(1, -1)
  const [before = [], after = []] = canonical.split('::').map((part) => part.split(':'))
  const groups = (part: string[]) => part.filter((group) => group !== '')
  const left = groups(before)
  const right = groups(after)
  const bytes = Buffer.alloc(16)
  left.forEach((group, index) => {
    bytes.writeUInt16BE(Number.parseInt(group, 16), 2 * index)
  })
  right.forEach((group, index) => {
    bytes.writeUInt16BE(Number.parseInt(group, 16), 2 * (8 - right.length + index))
  })
  return bytes
}
