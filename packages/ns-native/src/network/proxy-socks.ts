import type { Socket } from 'node:net'
import { ByteReader } from './byte-reader.ts'
import type { Gatekeeper, Passage } from './gatekeeper.ts'
import { canonicalHost, type HostAndPort } from './host-name.ts'
import { joinSockets } from './joined-sockets.ts'
import { attend } from './waiting-client.ts'

/** The first byte of a SOCKS5 client's greeting; no HTTP request begins with it. */
export const SOCKS_VERSION = 5

/** For the whole negotiation. */
const SILENCE_MS = 60_000

// RFC 1928
const NO_AUTHENTICATION = 0
const NO_ACCEPTABLE_METHOD = 0xff
const CONNECT = 1
const IPV4 = 1
const NAME = 3
const IPV6 = 4
const GRANTED = 0
const NOT_ALLOWED = 2
const HOST_UNREACHABLE = 4
const COMMAND_NOT_SUPPORTED = 7
const ADDRESS_NOT_SUPPORTED = 8

/** SOCKS5 (RFC 1928): CONNECT, without authentication, names or addresses. */
export async function serveSocks(gatekeeper: Gatekeeper, client: Socket): Promise<void> {
  const close = () => {
    client.destroy()
  }
  client.on('error', close)
  client.setTimeout(SILENCE_MS, close)
  const target = await negotiate(client, new ByteReader(client)).catch(close)
  client.setTimeout(0, close)
  if (target === undefined || client.destroyed) return
  const { signal, release } = attend(client)
  const asked = { protocol: 'socks', method: 'CONNECT', ...target, url: undefined, signal } as const
  const passage = await gatekeeper.pass(asked)
  if (passage.outcome !== 'connected') return reply(client, codeOf(passage))
  client.write(answer(GRANTED))
  passage.socket.write(release())
  joinSockets(client, passage.socket)
}

async function negotiate(client: Socket, bytes: ByteReader): Promise<HostAndPort | undefined> {
  const [, count = 0] = await bytes.take(2)
  const methods = await bytes.take(count)
  if (!methods.includes(NO_AUTHENTICATION)) {
    client.end(Buffer.from([SOCKS_VERSION, NO_ACCEPTABLE_METHOD]))
    return undefined
  }
  client.write(Buffer.from([SOCKS_VERSION, NO_AUTHENTICATION]))
  const [version, command, , type] = await bytes.take(4)
  if (version !== SOCKS_VERSION) throw new Error('not SOCKS5')
  const name = await takeHost(bytes, type)
  const host = canonicalHost(name)
  const port = (await bytes.take(2)).readUInt16BE(0)
  bytes.release()
  if (command === CONNECT && host !== undefined && port > 0) return { host, port }
  reply(client, command === CONNECT ? ADDRESS_NOT_SUPPORTED : COMMAND_NOT_SUPPORTED)
  return undefined
}

async function takeHost(bytes: ByteReader, type: number | undefined): Promise<string> {
  if (type === IPV4) return [...(await bytes.take(4))].join('.')
  if (type === NAME) {
    const [length = 0] = await bytes.take(1)
    return (await bytes.take(length)).toString('latin1')
  }
  if (type !== IPV6) throw new Error('not an address of SOCKS5')
  const groups = (await bytes.take(16)).toString('hex').match(/.{4}/g) ?? []
  return `[${groups.join(':')}]`
}

function codeOf(passage: Passage): number {
  return passage.outcome === 'refused' ? NOT_ALLOWED : HOST_UNREACHABLE
}

function reply(client: Socket, code: number): void {
  client.end(answer(code))
}

// With the address 0.0.0.0:0, for the one that we have out here is none of its business.
function answer(code: number): Buffer {
  return Buffer.from([SOCKS_VERSION, code, 0, IPV4, 0, 0, 0, 0, 0, 0])
}
