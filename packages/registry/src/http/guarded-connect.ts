import { lookup as dnsLookup, type LookupAddress, type LookupAllOptions } from 'node:dns'
import { isIP, type LookupFunction, type Socket } from 'node:net'
import type { buildConnector } from 'undici'
import type { Connection, HopGuard } from './hop-guard.ts'

/** Resolves a name to all of its addresses, as `dns.lookup` does. */
export type ResolveName = (
  host: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void

/** What a guarded connector needs. */
export interface GuardedConnectOptions {
  guard: HopGuard
  /** The host that leads here; undefined for connections to hosts that the caller named. */
  by: string | undefined
  resolveName?: ResolveName | undefined
}

/** A connection that was refused because of its address. */
export class RefusedAddress extends Error {
  override readonly name = 'RefusedAddress'
  readonly reason: string

  constructor(reason: string) {
    super(`the connection is refused: ${reason}`)
    this.reason = reason
  }
}

/**
 * Let a connector of undici connect to allowed addresses only.
 *
 * Checked is the address that the name resolves to, at the moment of connecting: a name that resolves to
 * an inner address, or does so the second time, leads nowhere. No byte is sent to a refused address, not
 * even of TLS.
 */
export function guardedConnect(
  makeConnector: typeof buildConnector,
  settings: buildConnector.BuildOptions,
  options: GuardedConnectOptions,
): buildConnector.connector {
  const { guard, by, resolveName = dnsLookup } = options
  // One for each origin, since a connector keeps TLS sessions.
  const connectors = new Map<string, buildConnector.connector>()

  function connectorFor(connection: Connection): buildConnector.connector {
    const key = `${connection.protocol} ${connection.host} ${connection.port}`
    const lookup = guardedLookup(resolveName, connection, guard)
    const connector = connectors.get(key) ?? makeConnector({ ...settings, lookup })
    connectors.set(key, connector)
    return connector
  }

  return (target, callback) => {
    const host = target.hostname.replace(/^\[|\]$/g, '').toLowerCase()
    const { protocol } = target
    const port = Number(target.port) || (protocol === 'https:' ? 443 : 80)
    const connection: Connection = { host, port, protocol, by }
    const reason = isIP(host) === 0 ? undefined : guard.refusal(connection, host)
    if (reason !== undefined) return callback(new RefusedAddress(reason), null)
    connectorFor(connection)(target, (...result) => {
      const [error, socket] = result
      if (error === null) admit(socket, connection, guard, callback)
      else callback(error, null)
    })
  }
}

/** A socket has the address that the name was resolved to; whatever else it had would be refused here. */
function admit(
  socket: Socket,
  connection: Connection,
  guard: HopGuard,
  callback: buildConnector.Callback,
): void {
  const address = socket.remoteAddress ?? ''
  const reason = guard.refusal(connection, address)
  if (reason === undefined) {
    guard.reached(connection.host, address)
    callback(null, socket)
  } else {
    socket.destroy()
    callback(new RefusedAddress(reason), null)
  }
}

function guardedLookup(
  resolveName: ResolveName,
  connection: Connection,
  guard: HopGuard,
): LookupFunction {
  return (host, options, callback) => {
    resolveName(host, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, '')
      const refusals = addresses.map(({ address }) => guard.refusal(connection, address))
      const allowed = addresses.filter((_, index) => refusals[index] === undefined)
      const [first] = allowed
      if (first === undefined) {
        const reason = refusals.find((each) => each !== undefined) ?? 'it has no address'
        return callback(new RefusedAddress(reason), '')
      }
      if (options.all) callback(null, allowed)
      else callback(null, first.address, first.family)
    })
  }
}
