import { closeSync } from 'node:fs'
import { constants } from 'node:os'
import { encodeGiveUp, encodeOpen } from '../encode.ts'
import { NamespaceError } from '../errors.ts'
import type { InnerAddress } from '../launch-spec.ts'
import type { DescriptorEvent } from '../records.ts'
import { socketError } from './socket-error.ts'

/** A socket made inside, and the port that it has. */
export interface InnerSocket {
  fd: number
  port: number
}

/** What is wanted of the monitor. */
export interface SocketRequest {
  kind: 'listener' | 'connection'
  address: InnerAddress
  timeoutMs: number
  signal?: AbortSignal | undefined
}

interface Pending extends SocketRequest {
  resolve: (socket: InnerSocket) => void
  reject: (error: unknown) => void
  forget: () => void
}

/** As many as the monitor waits for at once: CW_PENDING_MAX of native/init/broker.h. */
const AT_ONCE = 64

/** Asks the monitor for sockets made inside; each answer is a descriptor or an errno. */
export class SocketRequests {
  readonly #send: (message: Buffer) => void
  readonly #waiting: Pending[] = []
  readonly #asked = new Map<number, Pending>()
  #lastId = 0
  #ended = false

  constructor(send: (message: Buffer) => void) {
    this.#send = send
  }

  /** Rejects like Node's own sockets, with the signal's reason, or with ERR_NS_ENDED. */
  open(request: SocketRequest): Promise<InnerSocket> {
    return new Promise((resolve, reject) => {
      if (this.#ended) throw hasEnded()
      request.signal?.throwIfAborted()
      const pending: Pending = { ...request, resolve, reject, forget: () => {} }
      const giveUp = (reason: unknown) => this.#giveUp(pending, reason)
      const aborted = () => giveUp(request.signal?.reason)
      const { address, kind, timeoutMs } = request
      const late = () => giveUp(socketError(constants.errno.ETIMEDOUT, kind, address))
      const timer = setTimeout(late, timeoutMs)
      request.signal?.addEventListener('abort', aborted, { once: true })
      pending.forget = () => {
        clearTimeout(timer)
        request.signal?.removeEventListener('abort', aborted)
      }
      this.#waiting.push(pending)
      this.#ask()
    })
  }

  /** The monitor's answer. Nobody may want it any more. */
  answer({ id, fd, errno, port }: DescriptorEvent): void {
    const pending = this.#asked.get(id)
    this.#asked.delete(id)
    pending?.forget()
    if (pending === undefined && fd !== undefined) closeSync(fd)
    else if (fd !== undefined) pending?.resolve({ fd, port })
    else pending?.reject(socketError(errno, pending.kind, pending.address))
    this.#ask()
  }

  /** The container has ended: nothing will be answered any more. */
  end(): void {
    this.#ended = true
    for (const pending of [...this.#waiting.splice(0), ...this.#asked.values()]) {
      pending.forget()
      pending.reject(hasEnded())
    }
    this.#asked.clear()
  }

  #ask(): void {
    while (this.#asked.size < AT_ONCE) {
      const pending = this.#waiting.shift()
      if (pending === undefined) return
      this.#lastId = (this.#lastId + 1) >>> 0
      this.#asked.set(this.#lastId, pending)
      this.#send(encodeOpen(pending.kind, this.#lastId, pending.address))
    }
  }

  #giveUp(pending: Pending, reason: unknown): void {
    pending.forget()
    pending.reject(reason)
    const index = this.#waiting.indexOf(pending)
    if (index >= 0) this.#waiting.splice(index, 1)
    for (const [id, asked] of this.#asked) {
      if (asked !== pending) continue
      this.#asked.delete(id)
      this.#send(encodeGiveUp(id))
    }
    this.#ask()
  }
}

export function hasEnded(): NamespaceError {
  return new NamespaceError('ERR_NS_ENDED', 'cannot reach the container’s network: it has ended')
}
