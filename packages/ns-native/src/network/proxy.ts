import { createServer, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { Gatekeeper, type NetworkViolation, type ProxyOptions } from './gatekeeper.ts'
import type { InnerListener } from './inner-listener.ts'
import { serveRequest, serveUpgrade } from './proxy-forward.ts'
import { SOCKS_VERSION, serveSocks } from './proxy-socks.ts'
import { serveConnect } from './proxy-tunnel.ts'
import type { HostTraffic } from './traffic.ts'

const MAX_CONNECTIONS = 256
/** For the first byte; HTTP has its own rules for what follows. */
const SILENCE_MS = 60_000

/**
 * The one way out of a container: an HTTP proxy (CONNECT, plain requests, WebSocket) and SOCKS5 on the
 * same port, in this process, on a socket that listens inside. It asks a policy for every
 * connection and every plain request, resolves names itself and connects to addresses it has checked.
 */
export class NetworkProxy {
  readonly #gatekeeper: Gatekeeper
  readonly #maxConnections: number
  readonly #servers = new Set<Server>()
  readonly #clients = new Set<Socket>()

  /** @internal */
  constructor(options: ProxyOptions) {
    this.#gatekeeper = new Gatekeeper(options)
    this.#maxConnections = options.maxConnections ?? MAX_CONNECTIONS
  }

  /** What was refused, oldest first; of very many the last thousand. */
  get violations(): readonly NetworkViolation[] {
    return this.#gatekeeper.violations
  }

  /** How many were refused in all. */
  get violationCount(): number {
    return this.#gatekeeper.violationCount
  }

  /** Connections and bytes by host, as of now. */
  traffic(): Record<string, HostTraffic> {
    return this.#gatekeeper.traffic()
  }

  /** Answer on this socket, until the container ends or `close`. Any number of containers may share a proxy. */
  async serve(listener: Pick<InnerListener, 'serve'>): Promise<void> {
    const server = this.#createServer()
    this.#servers.add(server)
    server.once('close', () => this.#servers.delete(server))
    await listener.serve(server)
  }

  /** Answer no more, and end the connections that there are. */
  async close(): Promise<void> {
    const closed = [...this.#servers].map((server) => new Promise((done) => server.close(done)))
    for (const client of this.#clients) client.destroy()
    await Promise.all(closed)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #createServer(): Server {
    const gatekeeper = this.#gatekeeper
    const server = createServer({ insecureHTTPParser: false, requireHostHeader: true })
    server.maxConnections = this.#maxConnections
    server.on('request', (request, response) => serveRequest(gatekeeper, request, response))
    // `net.Socket` is what node:http hands over for a TCP server, though its types promise less
    server.on('connect', (request, socket, head) => {
      serveConnect(gatekeeper, request, socket as Socket, head)
    })
    server.on('upgrade', (request, socket, head) => {
      serveUpgrade(gatekeeper, request, socket as Socket, head)
    })
    const serveHttp = server.listeners('connection')
    server.removeAllListeners('connection')
    server.on('connection', (client: Socket) => this.#begin(server, client, serveHttp))
    return server
  }

  // The first byte tells the protocol.
  #begin(server: Server, client: Socket, serveHttp: readonly unknown[]): void {
    const close = () => client.destroy()
    this.#clients.add(client)
    client.once('close', () => this.#clients.delete(client))
    client.on('error', close)
    client.setTimeout(SILENCE_MS, close)
    client.once('end', close)
    client.once('data', (first: Buffer) => {
      client.off('error', close)
      client.off('end', close)
      client.setTimeout(0, close)
      client.pause()
      client.unshift(first)
      if (first[0] === SOCKS_VERSION) {
        serveSocks(this.#gatekeeper, client)
        return
      }
      for (const serve of serveHttp) if (typeof serve === 'function') serve.call(server, client)
      process.nextTick(() => client.resume())
    })
  }
}
