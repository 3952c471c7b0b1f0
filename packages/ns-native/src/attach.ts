import { closeSync, constants as fsConstants, openSync, readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { constants } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { ContainedProcess, type ExitStatus } from './contained-process.ts'
import { NamespaceError, SetupError } from './errors.ts'
import { exitStatus } from './exit-status.ts'
import { withResolvers } from './launch.ts'
import { LimitControl } from './limit-control.ts'
import type { ExitReason } from './limits.ts'
import { ContainerNetwork } from './network/container-network.ts'
import { decodeEvent, MessageReader, type MonitorEvent } from './records.ts'
import { NO_USAGE } from './usage.ts'

/** Where a detached container's monitor is found, and which container that must be. */
export interface AttachTarget {
  /** `monitor.attachPath` of its launch. */
  socketPath?: string
  /** `monitor.exitPath` of its launch: tells how it ended when the monitor no longer can. */
  exitPath?: string
  /** In the place of both: the directory in which they are `monitor.sock` and `exit`. */
  stateDirectory?: string
  /** Refuse another container than the one whose PID 1 this was. */
  pid?: number
  /** Field 22 of that process's `/proc/PID/stat`. */
  startTime?: number
}

/**
 * Be again with a container that was launched with `monitor.attachPath`, by this process or by one
 * that is gone. What it gives can wait, kill, resize and be joined; streams it has none, output is
 * in `monitor.logPath`. Any number of processes may be attached (eight at a time), all learn how it
 * ends, and none that goes away takes it along. Only its user and root may.
 *
 * Rejects with ERR_NS_ENDED when the container has ended: `readExitFile` says how.
 */
export function attach(target: AttachTarget): Promise<ContainedProcess> {
  return new Attachment(target).found
}

const ERR = constants.errno

class Attachment {
  readonly #target: AttachTarget
  readonly #exitPath: string | undefined
  readonly #socket: Socket
  readonly #reader = new MessageReader()
  readonly #found = withResolvers<ContainedProcess>()
  readonly #status = withResolvers<ExitStatus>()
  readonly #limits = new LimitControl({}, true, undefined)
  #isFound = false
  #ended = false

  constructor(target: AttachTarget) {
    const { stateDirectory: directory } = target
    const socketPath = target.socketPath ?? (directory && join(directory, 'monitor.sock'))
    if (socketPath === undefined) throw new TypeError('expected a socketPath or a stateDirectory')
    this.#target = target
    this.#exitPath = target.exitPath ?? (directory && join(directory, 'exit'))
    this.#socket = connectTo(socketPath)
    this.#socket.on('data', (chunk: Buffer) => this.#read(chunk))
    this.#socket.on('error', (error) => this.#fail(asEnded(error, socketPath)))
    this.#socket.on('close', () => this.#lose())
    // Who never waits must not be ended by an unhandled rejection.
    this.#status.promise.catch(() => {})
  }

  get found(): Promise<ContainedProcess> {
    return this.#found.promise
  }

  #read(chunk: Buffer): void {
    try {
      for (const record of this.#reader.push(chunk)) this.#hear(decodeEvent(record))
    } catch (error) {
      if (!(error instanceof NamespaceError)) throw error
      this.#fail(error)
      this.#socket.destroy()
    }
  }

  #hear(event: MonitorEvent): void {
    if (event.type === 'attached') this.#find(event)
    if (this.#limits.hear(event)) return
    if (event.type === 'exited') this.#end(exitStatus(event, this.#limits))
  }

  #find(event: Extract<MonitorEvent, { type: 'attached' }>): void {
    const { pid = event.pid, startTime = event.startTime } = this.#target
    if (pid !== event.pid || startTime !== event.startTime) throw ended('another one is there now')
    this.#isFound = true
    const network = new ContainerNetwork(undefined, () => {})
    this.#found.resolve(
      new ContainedProcess({
        pid: event.pid,
        monitorPid: event.monitorPid,
        pipes: [undefined, undefined, undefined],
        connection: {
          send: (message) => {
            if (this.#socket.writable) this.#socket.write(message)
          },
          ref: () => this.#socket.ref(),
          unref: () => this.#socket.unref(),
        },
        network: () => network,
        limits: this.#limits,
        status: this.#status.promise,
        hasEnded: () => this.#ended,
      }),
    )
  }

  #end(status: ExitStatus): void {
    this.#ended = true
    this.#limits.end()
    this.#status.resolve(status)
    this.#socket.end()
  }

  // The monitor has written the exit file before it stops to answer, unless it was killed.
  #lose(): void {
    if (this.#ended) return
    const written = this.#exitPath === undefined ? undefined : readExitFile(this.#exitPath)
    const lost = new NamespaceError('ERR_NS_MONITOR_LOST', 'lost the monitor: it was killed')
    if (written !== undefined && this.#isFound) this.#end(written)
    else this.#fail(this.#isFound ? lost : ended('its monitor is ending'))
  }

  #fail(error: NamespaceError): void {
    this.#ended = true
    this.#limits.end()
    this.#found.reject(error)
    this.#status.reject(error)
  }
}

/** A path may be longer than an address of a socket can be: then by its directory's descriptor. */
function connectTo(path: string): Socket {
  const ADDRESS_MAX_BYTES = 107
  if (Buffer.byteLength(path) <= ADDRESS_MAX_BYTES) return connect({ path })
  const directory = openSync(dirname(path), fsConstants.O_RDONLY | fsConstants.O_DIRECTORY)
  const socket = connect({ path: `/proc/self/fd/${directory}/${basename(path)}` })
  // Once only: later the number may be somebody else's.
  const release = () => {
    socket.off('connect', release).off('error', release)
    closeSync(directory)
  }
  return socket.on('connect', release).on('error', release)
}

function ended(why: string): NamespaceError {
  const hint = 'readExitFile tells how, where the container was launched with monitor.exitPath'
  return new NamespaceError('ERR_NS_ENDED', `the container has ended: ${why}`, { hint })
}

function asEnded(error: Error & { code?: string; errno?: number }, path: string): NamespaceError {
  const { code = '' } = error
  if (code === 'ENOENT') return ended(`there is no ${path}`)
  if (code === 'ECONNRESET' || code === 'EPIPE') return ended('its monitor is ending')
  if (code === 'ECONNREFUSED') return ended(`nobody listens on ${path}`)
  const errno = Math.abs(error.errno ?? 0)
  const hint = errno === ERR.EACCES ? 'only its user and root may attach to a container' : undefined
  return new SetupError(`cannot attach by ${path}: ${code}`, {
    errno,
    syscall: 'connect',
    path,
    hint,
    cause: error,
  })
}

// What the monitor writes down besides the status; native/init/exit-file.c
const LIMIT_REASONS: readonly ExitReason[] = [
  'wall',
  'cpu',
  'memory',
  'pids',
  'output',
  'seccomp',
  'parent-gone',
]

/**
 * How a container ended, as its monitor wrote it to `monitor.exitPath`; undefined as long as there
 * is no such file. What it used is not in there: zeros.
 */
export function readExitFile(path: string): ExitStatus | undefined {
  let text: string
  try {
    text = readFileSync(path, 'latin1')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
  const code = /^exit-code=(\d{1,3})$/m.exec(text)?.[1]
  const name = /^signal=(SIG[A-Z0-9]+)$/m.exec(text)?.[1]
  if (code === undefined && name === undefined) return undefined
  const why = /^reason=([a-z-]+)$/m.exec(text)?.[1]
  const known = LIMIT_REASONS.find((reason) => reason === why)
  const reason = known ?? (name === undefined ? 'exit' : 'signal')
  const rest = { reason, usage: NO_USAGE, limits: {} }
  const number = /^SIG(\d+)$/.exec(name ?? '')?.[1]
  if (number !== undefined) return { exitCode: 128 + Number(number), signal: null, ...rest }
  return {
    exitCode: code === undefined ? null : Number(code),
    // the monitor's names are those of signal(7), which NodeJS.Signals lists
    signal: name === undefined ? null : (name as NodeJS.Signals),
    ...rest,
  }
}
