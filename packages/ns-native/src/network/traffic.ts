import type { Socket } from 'node:net'

/** What went to and came from one host. */
export interface HostTraffic {
  connections: number
  /** From the container to the host. */
  bytesSent: number
  bytesReceived: number
}

/** A container may ask for any number of names below `*.example.org`. */
const HOSTS_MAX = 1000
const OTHERS = '(others)'

/** Counts bytes by host; of connections that are open, too. */
export class Traffic {
  readonly #closed = new Map<string, HostTraffic>()
  readonly #open = new Map<Socket, string>()

  count(host: string, socket: Socket): void {
    const name = this.#closed.has(host) || this.#closed.size < HOSTS_MAX ? host : OTHERS
    const { connections, ...bytes } = this.#closed.get(name) ?? NOTHING
    this.#closed.set(name, { ...bytes, connections: connections + 1 })
    this.#open.set(socket, name)
    socket.once('close', () => {
      this.#open.delete(socket)
      this.#closed.set(name, sum(this.#closed.get(name) ?? NOTHING, socket))
    })
  }

  /** As it is now. */
  byHost(): Record<string, HostTraffic> {
    const all = new Map(this.#closed)
    for (const [socket, name] of this.#open) all.set(name, sum(all.get(name) ?? NOTHING, socket))
    return Object.fromEntries(all)
  }
}

const NOTHING: HostTraffic = { connections: 0, bytesSent: 0, bytesReceived: 0 }

function sum(traffic: HostTraffic, socket: Socket): HostTraffic {
  return {
    connections: traffic.connections,
    bytesSent: traffic.bytesSent + socket.bytesWritten,
    bytesReceived: traffic.bytesReceived + socket.bytesRead,
  }
}
