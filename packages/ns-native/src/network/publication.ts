import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { ContainerNetwork } from './container-network.ts'
import { LOOPBACK } from './endpoint.ts'
import { joinSockets, resetSocket } from './joined-sockets.ts'

/** Where a published port is found. */
export interface PublishOptions {
  /** The host's address to listen on; the default, 127.0.0.1, is reached from this machine only. */
  host?: string
  /** The host's port; the default, 0, is any free one. */
  hostPort?: number
  /** The address inside; default 127.0.0.1. */
  innerHost?: string
  /** Connections at once; more are closed as they come. Default 1024. */
  maxConnections?: number
}

const MAX_CONNECTIONS = 1024

/** A port of the host that leads inside. */
export class Publication {
  /** Of the host. */
  readonly host: string
  readonly port: number
  readonly #server: Server
  readonly #clients: ReadonlySet<Socket>

  /** @internal */
  constructor(server: Server, clients: ReadonlySet<Socket>) {
    // listening on TCP, a server has an address of this type
    const { address, port } = server.address() as AddressInfo
    this.host = address
    this.port = port
    this.#server = server
    this.#clients = clients
  }

  /** Listen no more, and end the connections that there are. */
  close(): Promise<void> {
    for (const client of this.#clients) client.destroy()
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }

  /** @internal The container is no more. */
  end(): void {
    this.close()
  }

  /** @internal */
  onceClosed(closed: () => void): void {
    this.#server.once('close', closed)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** @internal See `publish` of ContainerNetwork. Rejects like `server.listen`. */
export async function openPublication(
  network: ContainerNetwork,
  port: number,
  options: PublishOptions,
): Promise<Publication> {
  const { host = LOOPBACK, hostPort = 0, innerHost = LOOPBACK } = options
  const clients = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    clients.add(client)
    client.on('close', () => clients.delete(client))
    lead(client, network, { host: innerHost, port })
  })
  server.maxConnections = options.maxConnections ?? MAX_CONNECTIONS
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    // exclusive: in a cluster's worker it is this process that listens, not the primary
    server.listen({ host, port: hostPort, exclusive: true }, () => {
      server.off('error', reject)
      resolve()
    })
  })
  return new Publication(server, clients)
}

async function lead(
  client: Socket,
  network: ContainerNetwork,
  address: { host: string; port: number },
): Promise<void> {
  const gone = new AbortController()
  // Until there is a connection inside, all that matters is whether the client is still there.
  client.on('error', () => gone.abort())
  client.once('close', () => gone.abort())
  try {
    const inner = await network.connect(address, { signal: gone.signal })
    joinSockets(client, inner)
  } catch {
    // As it would be without us: nothing listens there.
    resetSocket(client)
  }
}
