import type { Readable } from 'node:stream'

/** Keeps the first bytes of a stream, and reads the rest, so that the writer is never stuck. */
export class Collector {
  readonly #chunks: Buffer[] = []
  #room: number
  truncated = false

  constructor(stream: Readable, maxBytes: number) {
    this.#room = maxBytes
    stream.on('data', (chunk: Buffer | string) => this.#keep(Buffer.from(chunk)))
  }

  #keep(chunk: Buffer): void {
    if (chunk.length > this.#room) this.truncated = true
    const kept = chunk.subarray(0, this.#room)
    this.#room -= kept.length
    if (kept.length > 0) this.#chunks.push(kept)
  }

  text(): string {
    return Buffer.concat(this.#chunks).toString()
  }
}
