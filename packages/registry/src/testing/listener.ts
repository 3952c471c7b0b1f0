import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'

/** What a server shows, in PEM. */
export interface ServerTls {
  key: string
  cert: string
  /** Who signs the certificates that clients have to show. Default: they need none. */
  clientCa?: string
}

/** Where a server listens. */
export interface ListenOptions {
  /** Default: one that is free. */
  port?: number | undefined
  /** Default `127.0.0.1`. */
  address?: string | undefined
  tls?: ServerTls | undefined
}

/** A server that listens. */
export interface Listener {
  /** `127.0.0.1:PORT`. */
  readonly host: string
  /** `http://127.0.0.1:PORT`. */
  readonly origin: string
  close(): Promise<void>
}

/** Start a server; rejects with the system's error if it cannot listen. */
export async function listen(
  listener: RequestListener,
  { port = 0, address = '127.0.0.1', tls }: ListenOptions = {},
): Promise<Listener> {
  const server = tls ? createTlsServer(tlsOptions(tls), listener) : createServer(listener)
  // Slow uploads are what this server is for.
  server.requestTimeout = 0
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, address, resolve)
  })
  // A server that listens on TCP has an address of this form.
  const bound = server.address() as AddressInfo
  const host = `${address.includes(':') ? `[${address}]` : address}:${bound.port}`
  return { host, origin: `${tls ? 'https' : 'http'}://${host}`, close: () => stop(server) }
}

function tlsOptions({ key, cert, clientCa }: ServerTls) {
  const clients = clientCa === undefined ? {} : { ca: clientCa, requestCert: true }
  return { key, cert, ...clients }
}

async function stop(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
