import { EventEmitter } from 'node:events'
import { constants } from 'node:os'
import type { Readable, Writable } from 'node:stream'
import type { ContainedProcess, ExitStatus } from '../contained-process.ts'
import { NamespaceError } from '../errors.ts'
import type { PendingLaunch } from '../launch.ts'
import type { LaunchSpec } from '../launch-spec.ts'
import type { ExitReason } from '../limits.ts'
import type { ContainerNetwork } from '../network/container-network.ts'
import type { NetworkViolation } from '../network/gatekeeper.ts'
import type { Publication, PublishOptions } from '../network/publication.ts'
import { NO_USAGE, type Usage } from '../usage.ts'
import { AbortError } from './abort-error.ts'
import { Collector } from './collector.ts'
import { Deferred } from './deferred.ts'
import { effectivePolicy } from './effective-policy.ts'
import { holdStream, releaseStream } from './held-stream.ts'
import { type RunResult, runResult } from './run-result.ts'
import type { SpawnOptions } from './spawn-options.ts'

/** The events of a {@link SandboxProcess}, in the order of a `ChildProcess`. */
export interface SandboxProcessEvents {
  /** The program has been executed. */
  spawn: []
  /** It could not be started, or its `AbortSignal` fired. */
  error: [error: Error]
  /** It has ended, and everything that it started; output may still be on its way. */
  exit: [exitCode: number | null, signal: NodeJS.Signals | null]
  /** A limit was met: it ends the program (wall, cpu, output), or something inside was killed or refused (memory, pids). */
  limit: [limit: ExitReason]
  /** It wanted something of the network that it may not have. */
  violation: [violation: NetworkViolation]
  /** Its output has been read to the end. */
  close: [exitCode: number | null, signal: NodeJS.Signals | null]
}

/** What a program that joins another one may have differently. */
export type ExecOptions = Pick<
  SpawnOptions,
  'cwd' | 'env' | 'stdio' | 'signal' | 'killSignal' | 'pty' | 'collectBytes'
>

/** What a {@link SandboxProcess} is made of. */
export interface SandboxProcessParts {
  command: readonly [string, ...string[]]
  spec: LaunchSpec
  /** The launch, or why there is none. */
  launch: PendingLaunch | Error
  stdio: readonly [Writable | null, Readable | null, Readable | null]
  signal?: AbortSignal | undefined
  killSignal?: NodeJS.Signals | number | undefined
  collectBytes?: number | undefined
  degraded?: readonly string[] | undefined
  /** Done with the program once it runs; what is thrown ends it. */
  whenStarted?: ((program: ContainedProcess, child: SandboxProcess) => Promise<void>) | undefined
  /** How to run another program beside it. */
  exec: (
    beside: ContainedProcess,
    command: readonly [string, ...string[]],
    options: ExecOptions,
  ) => SandboxProcess
  /** Called once, when nothing of it is left or it never came to be. */
  cleanUp?: (() => void) | undefined
}

/**
 * A program in a sandbox, with the face of `child_process.ChildProcess`: streams at once, events in
 * the same order. It is not a thenable: `result` and `spawned` are the promises.
 */
export class SandboxProcess extends EventEmitter<SandboxProcessEvents> {
  readonly spawnfile: string
  readonly spawnargs: readonly string[]
  /** Null where `stdio` asked for no pipe. */
  readonly stdin: Writable | null
  readonly stdout: Readable | null
  readonly stderr: Readable | null
  readonly stdio: readonly [Writable | null, Readable | null, Readable | null]
  /** Of the first process inside, as the host counts; from the event `spawn` on. Signals to it reach the program. */
  pid: number | undefined
  /** Null until the event `exit`; and then, where a signal ended it. */
  exitCode: number | null = null
  signalCode: NodeJS.Signals | null = null
  /** Whether `kill` has sent a signal. */
  killed = false

  readonly #parts: SandboxProcessParts
  readonly #launch: PendingLaunch | undefined
  readonly #spawned = new Deferred<void>()
  readonly #result = new Deferred<RunResult>()
  readonly #collectors: readonly [Collector | undefined, Collector | undefined]
  #contained: ContainedProcess | undefined
  #state: 'starting' | 'running' | 'ended' = 'starting'
  /** Signals for a program that does not run yet. */
  #early: (NodeJS.Signals | number)[] = []
  readonly #violations: NetworkViolation[] = []
  #aborted = false
  #killedEarly = false
  #promised = false
  #open = 1

  /** @internal */
  constructor(parts: SandboxProcessParts) {
    super()
    this.#parts = parts
    this.spawnfile = parts.command[0]
    this.spawnargs = parts.command
    const { launch } = parts
    this.stdio = parts.stdio
    ;[this.stdin, this.stdout, this.stderr] = this.stdio
    for (const stream of this.#outputs()) holdStream(stream)
    this.#collectors = [this.#collect(this.stdout), this.#collect(this.stderr)]
    for (const stream of this.stdio) {
      if (stream === null) continue
      this.#open++
      stream.once('close', () => this.#closeOne())
    }
    if (launch instanceof Error) {
      process.nextTick(() => this.#fail(launch))
      return
    }
    this.#launch = launch
    launch.started.then(
      (contained) => this.#start(contained),
      (error: Error) => this.#fail(error),
    )
    this.#obey(parts.signal)
  }

  /** Resolves when the program has been executed; rejects when it could not be, with the error that says why. */
  get spawned(): Promise<void> {
    this.#promised = true
    return this.#spawned.promise
  }

  /**
   * Resolves at `close`, however the program ended; an exit code other than 0 is no error. Rejects
   * when it could not be started. Whoever asks for it needs no listener for `error`.
   */
  get result(): Promise<RunResult> {
    this.#promised = true
    return this.#result.promise
  }

  /**
   * Send a signal to the program; SIGKILL ends everything inside. True when it was sent, or will be
   * as soon as the program runs. 0 only asks whether it has not ended.
   */
  kill(signal: NodeJS.Signals | number = 'SIGTERM'): boolean {
    if (this.#state === 'ended' || this.#launch === undefined) return false
    if (signal === 0) return true
    if (this.#contained !== undefined) this.#contained.kill(signal)
    else if (signal === 'SIGKILL' || signal === constants.signals.SIGKILL) {
      this.#killedEarly = true
      this.#launch.abort()
    } else this.#early.push(signal)
    this.killed = true
    return true
  }

  /** Tell the program's terminal its new size. Only with `pty`. */
  resize(size: { columns: number; rows: number }): void {
    this.#contained?.resize(size)
  }

  /** Stop everything inside where it is. Needs a control group, as `limits` or `cgroup` give it. */
  async pause(): Promise<void> {
    await this.spawned
    return this.#running().pause()
  }

  /** Let it go on after `pause`. */
  async resume(): Promise<void> {
    return this.#running().resume()
  }

  /** What it has used so far. Rejects when it has ended. */
  async usage(): Promise<Usage> {
    await this.spawned
    return this.#running().usage()
  }

  /** Let it outlive this process, and let this process end before it. Once it has spawned. */
  detach(): void {
    this.#contained?.detach()
  }

  /**
   * Run a further program beside this one, in its namespaces and with its policy, under a kill and a
   * result of its own. Only while this one runs: await `spawned` first. Throws TypeError before that.
   */
  exec(file: string, args: readonly string[] = [], options: ExecOptions = {}): SandboxProcess {
    return this.#parts.exec(this.#running(), [file, ...args], options)
  }

  /** Have a port of the host lead to one inside. Only while it runs, and with a network of its own. */
  async publish(port: number, options: PublishOptions = {}): Promise<Publication> {
    await this.spawned
    return this.#running().network.publish(port, options)
  }

  /** Its network, as far as that is in this process's hands: see `network` of ContainedProcess. */
  get network(): ContainerNetwork {
    return this.#running().network
  }

  ref(): void {
    this.#launch?.ref()
  }

  unref(): void {
    this.#launch?.unref()
  }

  /** Ends it, and resolves when nothing of it is left: `await using child = spawn(…)`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.stdout?.resume()
    this.stderr?.resume()
    this.kill('SIGKILL')
    await this.result.catch(() => {})
  }

  #running(): ContainedProcess {
    if (this.#contained !== undefined) return this.#contained
    throw new TypeError('the program does not run yet: await spawned first')
  }

  /** @internal The sandbox's proxy refused something that may be this program's. */
  tellViolation(violation: NetworkViolation): void {
    this.#violations.push(violation)
    this.emit('violation', violation)
  }

  #outputs(): Readable[] {
    return [this.stdout, this.stderr].filter((stream) => stream !== null)
  }

  #collect(stream: Readable | null): Collector | undefined {
    const { collectBytes } = this.#parts
    if (stream === null || collectBytes === undefined) return undefined
    return new Collector(stream, collectBytes)
  }

  #obey(signal: AbortSignal | undefined): void {
    if (signal === undefined) return
    const abort = () => {
      if (this.#state === 'ended') return
      this.#aborted = true
      this.kill(this.#parts.killSignal ?? 'SIGKILL')
      const error = new AbortError(signal)
      this.#spawned.reject(error)
      this.#tell(error)
    }
    if (signal.aborted) process.nextTick(abort)
    else signal.addEventListener('abort', abort, { once: true })
    this.once('close', () => signal.removeEventListener('abort', abort))
  }

  #start(contained: ContainedProcess): void {
    this.#contained = contained
    this.#state = 'running'
    this.pid = contained.pid
    for (const signal of this.#early.splice(0)) contained.kill(signal)
    this.#spawned.resolve()
    this.emit('spawn')
    for (const stream of this.#outputs()) releaseStream(stream)
    this.#parts.whenStarted?.(contained, this).catch((error: Error) => {
      this.#result.reject(error)
      this.#tell(error)
      this.kill('SIGKILL')
    })
    contained.wait().then(
      (status) => this.#end(status),
      (error: Error) => this.#fail(error),
    )
  }

  #end(status: ExitStatus): void {
    this.once('close', () => {
      const { spec, degraded } = this.#parts
      const [stdout, stderr] = this.#collectors
      const collected = {
        stdout: stdout?.text() ?? '',
        stderr: stderr?.text() ?? '',
        truncated: stdout?.truncated === true || stderr?.truncated === true,
      }
      const policy = effectivePolicy(spec, status.limits, degraded)
      const violations = this.#violations
      const facts = { aborted: this.#aborted, collected, violations, policy }
      this.#result.resolve(runResult(status, facts))
    })
    this.#finish(status.exitCode, status.signal)
  }

  #fail(error: Error): void {
    if (this.#killedEarly && this.#contained === undefined) {
      // it was ended before it began: that is what was asked for, not a failure
      this.#spawned.reject(error)
      this.#end(KILLED_EARLY)
      return
    }
    this.#spawned.reject(error)
    this.#result.reject(error)
    const errno = error instanceof NamespaceError ? error.errno : undefined
    this.#tell(error)
    this.#finish(errno === undefined ? null : -errno, null)
  }

  /** An error nobody listens for ends the program, unless a promise has told it. */
  #tell(error: Error): void {
    if (this.#promised && this.listenerCount('error') === 0) return
    this.emit('error', error)
  }

  #finish(exitCode: number | null, signal: NodeJS.Signals | null): void {
    const ran = this.#launch !== undefined && (this.#contained !== undefined || this.#killedEarly)
    this.#state = 'ended'
    this.exitCode = exitCode
    this.signalCode = signal
    this.#parts.cleanUp?.()
    this.stdin?.destroy()
    if (ran) this.emit('exit', exitCode, signal)
    // what nobody has begun to read, nobody will: else `close` would never come
    process.nextTick(() => {
      for (const stream of this.#outputs()) {
        releaseStream(stream)
        if (stream.readableFlowing === null) stream.resume()
      }
    })
    this.#closeOne()
  }

  #closeOne(): void {
    this.#open--
    if (this.#open === 0) this.emit('close', this.exitCode, this.signalCode)
  }
}

const KILLED_EARLY: ExitStatus = {
  exitCode: null,
  signal: 'SIGKILL',
  reason: 'signal',
  usage: NO_USAGE,
  limits: {},
}

/** One whose streams are pipes, as they are unless `stdio` says otherwise. */
export interface PipedSandboxProcess extends SandboxProcess {
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
}
