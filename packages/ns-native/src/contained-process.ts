import type { Socket } from 'node:net'
import { constants } from 'node:os'
import type { Readable, Writable } from 'node:stream'
import { encodeDetach, encodeResize, encodeSignal } from './encode.ts'
import type { LimitControl } from './limit-control.ts'
import type { EffectiveLimits, ExitReason } from './limits.ts'
import type { MonitorConnection } from './monitor-connection.ts'
import type { ContainerNetwork } from './network/container-network.ts'
import type { Usage } from './usage.ts'

/** How a contained process ended: exactly one of `exitCode` and `signal` is not null. */
export interface ExitStatus {
  exitCode: number | null
  /** A real-time signal has no name in Node: it is told as exit code 128 + its number. */
  signal: NodeJS.Signals | null
  reason: ExitReason
  /** Of everything that ran inside; `maxRssBytes` is of the largest process. */
  usage: Usage & { maxRssBytes: number }
  /** What was in force, and who held it. */
  limits: EffectiveLimits
}

/** What `launch` knows about the process that it started. */
export interface Started {
  pid: number
  monitorPid: number
  pipes: readonly [Socket | undefined, Socket | undefined, Socket | undefined]
  connection: Pick<MonitorConnection, 'send' | 'ref' | 'unref'>
  network: () => ContainerNetwork
  limits: LimitControl
  status: Promise<ExitStatus>
  hasEnded: () => boolean
}

/** A running program in its namespaces. */
export class ContainedProcess {
  /**
   * Of PID 1 inside, as this process sees it: signals sent to it reach the program. Of the program
   * itself when it has joined a container.
   */
  readonly pid: number
  /** Of the process that waits for it outside. */
  readonly monitorPid: number
  /** Present where `stdio` asked for `'pipe'`. */
  readonly stdin: Writable | undefined
  readonly stdout: Readable | undefined
  readonly stderr: Readable | undefined
  /** What is in force, and who holds it. */
  readonly limits: EffectiveLimits
  readonly #started: Started

  /** @internal */
  constructor(started: Started) {
    this.#started = started
    this.pid = started.pid
    this.monitorPid = started.monitorPid
    this.limits = started.limits.effective
    ;[this.stdin, this.stdout, this.stderr] = started.pipes
  }

  /** What of its network is in this process's hands. */
  get network(): ContainerNetwork {
    return this.#started.network()
  }

  /**
   * Resolves when the program has ended, nothing of it runs any more, its output is delivered, and
   * what the monitor had to write and remove is written and removed.
   * PID 1, which is ours, may be there for a moment longer, where nothing of that waits for it.
   * Rejects with ERR_NS_MONITOR_LOST when the monitor was killed (the container dies with it).
   */
  wait(): Promise<ExitStatus> {
    return this.#started.status
  }

  /**
   * Send a signal to the program; SIGKILL ends the whole container. False when it has ended.
   * Throws TypeError for what is no signal.
   */
  kill(signal: NodeJS.Signals | number = 'SIGTERM'): boolean {
    const number = signalNumber(signal)
    if (this.#started.hasEnded()) return false
    this.#started.connection.send(encodeSignal(number))
    return true
  }

  /** What it has used so far. Rejects when it has ended. */
  usage(): Promise<Usage> {
    return this.#started.limits.usage(this.#started.connection)
  }

  /**
   * Stop everything inside where it is, all at once; resolves when all has stopped. Rejects with
   * ERR_NS_UNSUPPORTED when it has no control group of its own.
   */
  async pause(): Promise<void> {
    return this.#started.limits.freeze(this.#started.connection, true)
  }

  /** Let it go on after `pause`. */
  async resume(): Promise<void> {
    return this.#started.limits.freeze(this.#started.connection, false)
  }

  /** Tell the program's terminal its new size; it gets SIGWINCH. Nothing without a terminal. */
  resize({ columns, rows }: { columns: number; rows: number }): void {
    this.#started.connection.send(encodeResize(clamp(columns), clamp(rows)))
  }

  /** Let the container outlive this process, and let this process end before it. */
  detach(): void {
    this.#started.connection.send(encodeDetach())
    this.unref()
  }

  /** Keep the event loop alive until the container has ended (the default). */
  ref(): void {
    this.#started.connection.ref()
  }

  /** Do not keep the event loop alive for it. */
  unref(): void {
    this.#started.connection.unref()
  }
}

const SIGNAL_MAX = 64

/** What the kernel calls a signal; throws TypeError for what is none. */
export function signalNumber(signal: NodeJS.Signals | number): number {
  const number = typeof signal === 'number' ? signal : constants.signals[signal]
  if (Number.isInteger(number) && number >= 1 && number <= SIGNAL_MAX) return number
  throw new TypeError(`expected a signal name or number but received ${JSON.stringify(signal)}`)
}

function clamp(size: number): number {
  return Math.max(0, Math.min(0xffff, Math.trunc(size) || 0))
}
