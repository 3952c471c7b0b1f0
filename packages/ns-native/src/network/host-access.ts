import { connect, createServer, type Server, type Socket } from 'node:net'
import type { ContainerNetwork } from './container-network.ts'
import { LOOPBACK } from './endpoint.ts'
import type { InnerListener } from './inner-listener.ts'
import { joinSockets, resetSocket } from './joined-sockets.ts'

/** Where a port of the host appears inside. */
export interface HostAccessOptions {
  /** The port inside; the default is the same as the host's, 0 any free one. */
  port?: number
  /** The address inside; default 127.0.0.1. */
  innerHost?: string
  /** The host that is reached; default 127.0.0.1. */
  host?: string
  /** Connections at once; more are closed as they come. Default 256. */
  maxConnections?: number
}

const MAX_CONNECTIONS = 256

/** A port inside that leads to one of the host. */
export interface HostAccess {
  /** The address inside. */
  readonly host: string
  readonly port: number
  /** Listen no more, and end the connections that there are. */
  close(): void
}

/** @internal See `hostAccess` of ContainerNetwork. */
export async function openHostAccess(
  network: ContainerNetwork,
  hostPort: number,
  options: HostAccessOptions,
): Promise<HostAccess> {
  const { port = hostPort, innerHost = LOOPBACK, host = LOOPBACK } = options
  const listener = await network.listen({ host: innerHost, port })
  const clients = new Set<Socket>()
  const server = serverTo({ host, port: hostPort }, clients)
  server.maxConnections = options.maxConnections ?? MAX_CONNECTIONS
  await listener.serve(server)
  return handleOf(listener, clients)
}

function serverTo(target: { host: string; port: number }, clients: Set<Socket>): Server {
  return createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    clients.add(client)
    client.on('close', () => clients.delete(client))
    const outer = connect({ ...target, allowHalfOpen: true })
    outer.on('error', () => resetSocket(client))
    outer.once('connect', () => joinSockets(client, outer))
  })
}

function handleOf(listener: InnerListener, clients: ReadonlySet<Socket>): HostAccess {
  return {
    host: listener.host,
    port: listener.port,
    close() {
      listener.close()
      for (const client of clients) client.destroy()
    },
  }
}
