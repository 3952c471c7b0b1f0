import { closeSync, writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { constants } from 'node:os'
import { loadBinding } from './binding.ts'
import { NamespaceError } from './errors.ts'
import type { Helper } from './helper.ts'
import { decodeEvent, MessageReader, type MonitorEvent } from './records.ts'

/** Who wants to know what the monitor says. */
export interface MonitorListener {
  onEvent(event: MonitorEvent): void
  /** The monitor has ended, and has been reaped; `error` when its words made no sense. */
  onEnd(error?: NamespaceError): void
}

/** The control socket of a monitor. */
export class MonitorConnection {
  readonly #socket: Socket
  readonly #control: number
  readonly #reader = new MessageReader()
  #channel: number | undefined
  #error: NamespaceError | undefined

  constructor(
    { control, pid, channel }: Omit<Helper, 'pipes' | 'sent'>,
    listener: MonitorListener,
  ) {
    this.#control = control
    this.#channel = channel
    this.#socket = new Socket({ fd: control, readable: true, writable: true })
    this.#socket.on('data', (chunk: Buffer) => this.#read(chunk, listener))
    // Writing to a monitor that is gone: its end is what counts, and that comes by itself.
    this.#socket.on('error', () => {})
    this.#socket.on('end', () => this.#socket.destroy())
    loadBinding().claim(pid)
    this.#socket.on('close', () => {
      this.#closeChannel()
      this.#reap(pid, () => listener.onEnd(this.#error))
    })
  }

  send(message: Buffer): void {
    if (!this.#socket.writable) return
    // What could not be written at once goes the long way, and so does all that comes after it.
    const sent = this.#socket.writableLength > 0 ? 0 : this.#sendAtOnce(message)
    if (sent < message.length) this.#socket.write(message.subarray(sent))
  }

  // A failed write ends a Socket, with all that it has not read: the exit status of a monitor that
  // has just ended would be lost.
  #sendAtOnce(message: Buffer): number {
    try {
      return writeSync(this.#control, message)
    } catch (error) {
      return isErrno(error, 'EAGAIN') ? 0 : message.length
    }
  }

  /** Say nothing more; a monitor that has not started anything ends. */
  end(): void {
    this.#socket.end()
  }

  ref(): void {
    this.#socket.ref()
  }

  unref(): void {
    this.#socket.unref()
  }

  // It closes its end only by ending: what is left of that takes some 50 µs.
  #reap(pid: number, onEnd: () => void): void {
    if (loadBinding().reap(pid) === 0) setImmediate(() => this.#reap(pid, onEnd))
    else onEnd()
  }

  #read(chunk: Buffer, listener: MonitorListener): void {
    if (this.#error !== undefined) return
    try {
      for (const record of this.#reader.push(chunk)) {
        listener.onEvent(decodeEvent(record, () => this.#receiveFd()))
      }
    } catch (error) {
      if (!(error instanceof NamespaceError)) throw error
      this.#error = error
    }
  }

  #receiveFd(): number {
    return this.#channel === undefined
      ? -constants.errno.EBADF
      : loadBinding().receiveFd(this.#channel)
  }

  // Descriptors that nobody has taken by now are closed with it.
  #closeChannel(): void {
    if (this.#channel !== undefined) closeSync(this.#channel)
    this.#channel = undefined
  }
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
