import { closeSync } from 'node:fs'
import { constants } from 'node:os'
import { loadBinding } from './binding.ts'
import { ControlSocket } from './control-socket.ts'
import { NamespaceError } from './errors.ts'
import type { Helper } from './helper.ts'
import { decodeEvent, MessageReader, type MonitorEvent } from './records.ts'
import { ControlStream } from './without-addon.ts'

/** Who wants to know what the monitor says. */
export interface MonitorListener {
  onEvent(event: MonitorEvent): void
  /** The monitor has ended, and has been reaped; `error` when its words made no sense. */
  onEnd(error?: NamespaceError): void
}

/** The control socket of a monitor. */
export class MonitorConnection {
  readonly #socket: ControlSocket | ControlStream
  readonly #reader = new MessageReader()
  #channel: number | undefined
  #error: NamespaceError | undefined

  constructor(
    { control, pid, channel }: Omit<Helper, 'pipes' | 'sent'>,
    listener: MonitorListener,
  ) {
    this.#channel = channel
    const onData = (chunk: Buffer) => this.#read(chunk, listener)
    const onEnd = () => listener.onEnd(this.#error)
    if (typeof control !== 'number') {
      this.#socket = new ControlStream(control, { onData, onClose: onEnd })
      return
    }
    this.#socket = new ControlSocket(control, {
      onData,
      onClose: () => {
        this.#closeChannel()
        this.#reap(pid, onEnd)
      },
    })
    loadBinding().claim(pid)
  }

  send(message: Buffer): void {
    this.#socket.send(message)
  }

  /** Break off. The monitor kills what it has not yet started. */
  close(): void {
    this.#socket.close()
  }

  ref(): void {
    this.#socket.ref()
  }

  unref(): void {
    this.#socket.unref()
  }

  // It closes its end only by ending: what is left of that takes some 50 µs, and longer where it has to wait
  // for a processor, which is not to be one that we keep busy.
  #reap(pid: number, onEnd: () => void): void {
    if (loadBinding().reap(pid) === 0) setTimeout(() => this.#reap(pid, onEnd), 1)
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
