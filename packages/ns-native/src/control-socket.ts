import { closeSync } from 'node:fs'
import { constants } from 'node:os'
import { loadBinding, type PollHandle } from './binding.ts'

/** Who hears from the other end. */
export interface ControlListener {
  /** The chunk is there until this returns. */
  onData(chunk: Buffer): void
  /** The other end is gone, and this one closed. Always the last call. */
  onClose(): void
}

const READABLE = 1
const WRITABLE = 2
const CHUNK_BYTES = 4096
const AGAIN = -constants.errno.EAGAIN
// of all sockets: whoever wants to keep something of it copies that
const received = Buffer.alloc(CHUNK_BYTES)

/**
 * Our end of the socket between us and a monitor. A `net.Socket` would do the same; making one takes
 * as long as starting the helper, on the thread that everything else waits for.
 */
export class ControlSocket {
  readonly #fd: number
  readonly #listener: ControlListener
  readonly #poll: PollHandle
  #unsent: Uint8Array[] = []
  #open = true

  /** Throws what the system says to waiting for `fd`, which from now on is this object's. */
  constructor(fd: number, listener: ControlListener) {
    const poll = loadBinding().pollOpen(fd, (events) => this.#onReady(events))
    if (typeof poll === 'number') {
      closeSync(fd)
      throw new Error(`cannot wait for a descriptor: errno ${-poll}`)
    }
    this.#fd = fd
    this.#listener = listener
    this.#poll = poll
  }

  /** Nothing is said of what cannot be sent: the other end is gone then, and that comes by itself. */
  send(message: Uint8Array): void {
    if (!this.#open) return
    this.#unsent.push(message)
    this.#flush()
  }

  ref(): void {
    if (this.#open) loadBinding().pollRef(this.#poll, true)
  }

  unref(): void {
    if (this.#open) loadBinding().pollRef(this.#poll, false)
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    loadBinding().pollClose(this.#poll)
    this.#listener.onClose()
  }

  #onReady(events: number): void {
    if (events & WRITABLE) this.#flush()
    if (events & READABLE) this.#read()
  }

  // To the last byte: after an error nobody calls again.
  #read(): void {
    while (this.#open) {
      const size = loadBinding().receive(this.#fd, received)
      if (size === AGAIN) return
      if (size <= 0) this.close()
      else this.#listener.onData(received.subarray(0, size))
    }
  }

  #flush(): void {
    for (let next = this.#unsent.shift(); next !== undefined; next = this.#unsent.shift()) {
      const size = loadBinding().send(this.#fd, next)
      if (size === next.length) continue
      if (size >= 0 || size === AGAIN) this.#unsent.unshift(next.subarray(Math.max(size, 0)))
      break
    }
    loadBinding().pollEvents(this.#poll, this.#unsent.length > 0 ? READABLE | WRITABLE : READABLE)
  }
}
