import type { Socket } from 'node:net'

/** Takes so many bytes at a time from a socket, in whatever pieces they come. */
export class ByteReader {
  readonly #socket: Socket
  #bytes = Buffer.alloc(0)

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** Rejects when they do not come. */
  async take(size: number): Promise<Buffer> {
    while (this.#bytes.length < size) {
      // All that there is: with some left unread, "readable" would be told at once, for ever.
      const chunk: Buffer | null = this.#socket.read()
      if (chunk !== null) this.#bytes = Buffer.concat([this.#bytes, chunk])
      else if (this.#socket.destroyed || this.#socket.readableEnded)
        throw new Error('ended too early')
      else await this.#readable()
    }
    const taken = this.#bytes.subarray(0, size)
    this.#bytes = this.#bytes.subarray(size)
    return taken
  }

  /** Give back what was read and not taken. */
  release(): void {
    if (this.#bytes.length > 0) this.#socket.unshift(this.#bytes)
    this.#bytes = Buffer.alloc(0)
  }

  #readable(): Promise<void> {
    const events = ['readable', 'end', 'close']
    return new Promise((resolve) => {
      const done = () => {
        for (const event of events) this.#socket.off(event, done)
        resolve()
      }
      for (const event of events) this.#socket.on(event, done)
    })
  }
}
