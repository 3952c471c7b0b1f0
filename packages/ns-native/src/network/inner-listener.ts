import { closeSync } from 'node:fs'
import type { Server } from 'node:net'

/** A TCP socket that listens inside, and waits to be served by a server of this process. */
export class InnerListener {
  /** The address inside. */
  readonly host: string
  readonly port: number
  #fd: number | undefined
  #server: Server | undefined
  #ended = false
  #closed: () => void = () => {}

  /** @internal */
  constructor(fd: number, host: string, port: number) {
    this.#fd = fd
    this.host = host
    this.port = port
  }

  /**
   * Have a server of `node:net`, `node:http` or `node:https` accept the connections. Resolves when it
   * listens, or when there is nothing to listen to because the container has ended. From then on
   * closing the server closes the socket; the container's end does it, too.
   */
  async serve(server: Server): Promise<void> {
    if (this.#ended) return
    const fd = this.release()
    this.#server = server
    server.once('close', () => this.close())
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      // exclusive: in a cluster's worker it is this process that serves, not the primary
      server.listen({ fd, exclusive: true }, () => {
        server.off('error', reject)
        resolve()
      })
    })
  }

  /** The descriptor, for uses that Node knows nothing of. It is the caller's to close. */
  release(): number {
    const fd = this.#fd
    if (fd === undefined) throw new TypeError('the listener has been served or closed already')
    this.#fd = undefined
    return fd
  }

  /** Listen no more. Connections that were accepted stay. */
  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd)
    this.#fd = undefined
    this.#server?.close()
    this.#server = undefined
    this.#closed()
  }

  /** @internal The container is no more. */
  end(): void {
    this.#ended = true
    this.close()
  }

  /** @internal */
  onceClosed(closed: () => void): void {
    this.#closed = closed
  }
}
