import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, constants as fsConstants } from 'node:fs'
import { Socket } from 'node:net'
import { constants } from 'node:os'
import type { ControlListener } from './control-socket.ts'
import type { StdioTarget } from './helper.ts'

/**
 * The helper as a child of `child_process`, for hosts on which the addon does not load. Same
 * protocol; what it costs stands in the README. Gives a negative errno when it does not start.
 */
export function spawnWithoutAddon(
  file: string,
  stdio: readonly StdioTarget[],
): ChildProcess | number {
  const [input = 'ignore', output = 'ignore', errors = 'ignore', ...extras] = stdio
  const child = spawn(file, [], {
    argv0: 'cromwell-init',
    env: {},
    // 3 is the control socket, 4 would be the channel of descriptors
    stdio: [input, output, errors, 'pipe', 'ignore', ...extras],
  })
  // A helper that cannot be started says so later, too; until it is reaped nobody else may get its pid.
  child.on('error', () => {})
  return child.pid === undefined ? -whyNot(file) : child
}

function whyNot(file: string): number {
  try {
    accessSync(file, fsConstants.X_OK)
  } catch (error) {
    if (error instanceof Error && 'errno' in error) return Math.abs(Number(error.errno))
  }
  return constants.errno.EAGAIN
}

/** Its control socket, as a stream of Node's; the same to use as a `ControlSocket`. */
export class ControlStream {
  readonly #child: ChildProcess
  readonly #socket: Socket

  constructor(child: ChildProcess, listener: ControlListener) {
    const socket = child.stdio[3]
    if (!(socket instanceof Socket)) throw new TypeError('expected a control socket')
    this.#child = child
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => listener.onData(chunk))
    socket.on('error', () => {})
    socket.on('end', () => socket.destroy())
    socket.on('close', () => {
      const ended = child.exitCode !== null || child.signalCode !== null
      if (ended) listener.onClose()
      else child.once('exit', () => listener.onClose())
    })
  }

  send(message: Uint8Array): void {
    if (this.#socket.writable) this.#socket.write(message)
  }

  ref(): void {
    this.#child.ref()
    this.#socket.ref()
  }

  unref(): void {
    this.#child.unref()
    this.#socket.unref()
  }

  close(): void {
    this.#socket.destroy()
  }
}
