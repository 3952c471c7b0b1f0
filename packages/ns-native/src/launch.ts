import { Socket } from 'node:net'
import { constants } from 'node:os'
import { isatty } from 'node:tty'
import { tryBinding } from './binding.ts'
import { type Group, removeGroups } from './cgroup/groups.ts'
import { checkFds, checkSpec } from './check-spec.ts'
import { ContainedProcess, type ExitStatus } from './contained-process.ts'
import {
  encodeLaunch,
  encodeSignal,
  encodeSyscallAnswer,
  type JoinIdentity,
  needsChannel,
} from './encode.ts'
import { NamespaceError, PolicyError } from './errors.ts'
import { exitStatus } from './exit-status.ts'
import { faultError } from './fault.ts'
import { type Helper, type Pipe, type StdioTarget, startHelper } from './helper.ts'
import type { LaunchSpec } from './launch-spec.ts'
import { LimitControl } from './limit-control.ts'
import { type LimitPlan, planLimits } from './limit-plan.ts'
import { encodeLimits } from './limit-records.ts'
import type { ExitReason } from './limits.ts'
import { MonitorConnection } from './monitor-connection.ts'
import { ContainerNetwork } from './network/container-network.ts'
import type { DescriptorEvent, MonitorEvent } from './records.ts'
import { asksUserSpace } from './seccomp/bpf.ts'
import { answerSyscall, type SyscallEvent, type SyscallHandler } from './seccomp/syscall-handler.ts'
import { type TerminalState, terminal } from './terminal.ts'

/** How a launched process relates to this one. */
export interface LaunchOptions {
  /**
   * stdin, stdout and stderr: a descriptor (copied, so it may be closed afterwards), `'pipe'` for a
   * stream on the ContainedProcess, `'ignore'` for /dev/null. A terminal is never handed inside:
   * the monitor copies, or with `process.terminal` connects it to a pseudo-terminal in raw mode.
   */
  stdio: readonly [StdioTarget, StdioTarget, StdioTarget]
  /**
   * Further descriptors for the program: its number, 3 to 255, to one of ours, which is copied. At
   * most 32. Terminals and directories are refused: they lead out of the container.
   */
  fds?: Readonly<Record<number, number>>
  /** From its start on the container outlives this process. Default false: it dies with it. */
  detached?: boolean
  /** Kills the container; until it has started `launch` then rejects with ERR_NS_ABORTED. */
  signal?: AbortSignal
  /**
   * Decides about the calls for which `process.seccomp` says `SCMP_ACT_NOTIFY`. Whoever makes such a
   * call waits for it. EPERM when it throws, when it takes too long, and when this process has gone.
   */
  onSyscall?: SyscallHandler
  /** How long it may take; 10,000 unless given. */
  syscallTimeoutMs?: number
  /** A limit was met: it ends the program (wall, cpu, output), or killed or refused something inside (memory, pids). */
  onLimit?: (limit: ExitReason) => void
  /** Another build of the helper, executed by this path. */
  helperPath?: string
  /** False: start the helper by `child_process`, as where the addon cannot be loaded. */
  addon?: boolean
}

/**
 * Start a program as `spec` says; resolves once it has been executed.
 *
 * Rejects with NamespaceError: ERR_NS_SPEC, ERR_NS_UNSUPPORTED, ERR_NS_HELPER, ERR_NS_SETUP,
 * ERR_NS_EXEC, ERR_NS_ABORTED, ERR_NS_MONITOR_LOST. After any of them nothing is left running.
 */
export async function launch(spec: LaunchSpec, options: LaunchOptions): Promise<ContainedProcess> {
  return startLaunch(spec, options).started
}

/** A launch that is under way. */
export interface PendingLaunch {
  /** This side of stdin, stdout and stderr where a pipe was asked for; there at once. */
  readonly pipes: readonly [Socket | undefined, Socket | undefined, Socket | undefined]
  /** Resolves or rejects as the promise of `launch`. */
  readonly started: Promise<ContainedProcess>
  /** End it at once and for certain, whether it has started or not. */
  abort(): void
  /** Whether it keeps the event loop alive (by default yes). */
  ref(): void
  unref(): void
}

/** The same as {@link launch}, for who wants the streams before the program runs. Throws what goes wrong until then. */
export function startLaunch(spec: LaunchSpec, options: LaunchOptions): PendingLaunch {
  checkSpec(spec)
  return beginLaunch(spec, options)
}

const SYSCALL_TIMEOUT_MS = 10_000

/** What the monitor has to know about who answers calls. Throws ERR_NS_SPEC where that does not fit the filter. */
function checkSyscallOptions(
  { process: program }: LaunchSpec,
  { onSyscall, syscallTimeoutMs = SYSCALL_TIMEOUT_MS }: LaunchOptions,
): { timeoutMs: number } | undefined {
  const valid = Number.isInteger(syscallTimeoutMs) && syscallTimeoutMs > 0
  if (!valid || syscallTimeoutMs > 0xffffffff) {
    throw invalidSpec('/syscallTimeoutMs', 'must be a positive integer')
  }
  const asks = program.seccomp !== undefined && asksUserSpace(program.seccomp)
  if (onSyscall === undefined) {
    if (asks) throw invalidSpec('/process/seccomp', 'asks user space, but there is no onSyscall')
    return undefined
  }
  // before that the calls of the set-up itself would have to be decided about
  if (!program.noNewPrivileges) {
    throw invalidSpec('/process/noNewPrivileges', 'must be set for onSyscall')
  }
  if (!asks) throw invalidSpec('/process/seccomp', 'never asks user space, so onSyscall is useless')
  return { timeoutMs: syscallTimeoutMs }
}

function invalidSpec(pointer: string, why: string): PolicyError {
  return new PolicyError(`invalid launch spec: ${pointer}: ${why}`, { pointer }, 'ERR_NS_SPEC')
}

/** The part of it that comes after the spec was found good; or a launch into the container `join`. */
export function beginLaunch(
  spec: LaunchSpec,
  options: LaunchOptions,
  join?: JoinIdentity,
): PendingLaunch {
  checkFds(options.fds ?? {})
  if (options.signal?.aborted) throw aborted(options.signal)
  const answers = checkSyscallOptions(spec, options)
  const plan = planLimits(spec, join)
  const { groups } = plan
  const { affinity = spec.process.affinity } = plan
  const limited =
    affinity === undefined ? spec : { ...spec, process: { ...spec.process, affinity } }
  const encode = (made: readonly Group[]) =>
    encodeLaunch(limited, { ...options, answers, limits: encodeLimits(plan.held, made) }, join)
  // systemd can only be asked for a group once there is a process to put into it
  const message = typeof groups === 'function' ? Buffer.alloc(0) : encode(groups)
  const terminalToRestore = saveTerminal(spec, options)
  const helper = startHelper(options.stdio, message, {
    path: options.helperPath,
    channel: needsChannel(spec),
    extras: Object.values(options.fds ?? {}),
    ...(options.addon === undefined ? {} : { addon: options.addon }),
  })
  const launched = new Launch(spec, options, helper, { terminal: terminalToRestore, plan })
  return typeof groups === 'function'
    ? launched.runOnce(groups(helper.pid), encode)
    : launched.run(message.subarray(helper.sent))
}

/** One launch, from the helper's start to the container's end. */
class Launch implements PendingLaunch {
  readonly pipes: [Socket | undefined, Socket | undefined, Socket | undefined]
  readonly #spec: LaunchSpec
  readonly #options: LaunchOptions
  readonly #monitorPid: number
  readonly #connection: MonitorConnection
  readonly #terminal: SavedTerminal | undefined
  readonly #started = withResolvers<ContainedProcess>()
  readonly #status = withResolvers<ExitStatus>()
  #network: ContainerNetwork | undefined
  readonly #limits: LimitControl
  #groups: readonly Group[] = []
  #failure: NamespaceError | undefined
  #last: MonitorEvent | undefined
  #hasStarted = false
  #ended = false

  constructor(
    spec: LaunchSpec,
    options: LaunchOptions,
    helper: Helper,
    { terminal, plan }: { terminal: SavedTerminal | undefined; plan: LimitPlan },
  ) {
    this.#spec = spec
    this.#options = options
    this.#monitorPid = helper.pid
    this.#terminal = terminal
    this.#limits = new LimitControl(plan.effective, plan.hasGroup, options.onLimit)
    if (typeof plan.groups !== 'function') this.#groups = plan.groups
    const [input, output, errors] = helper.pipes
    this.pipes = [openPipe(input, 'write'), openPipe(output, 'read'), openPipe(errors, 'read')]
    this.#connection = new MonitorConnection(helper, {
      onEvent: (event) => this.#hear(event),
      onEnd: (error) => this.#end(error),
    })
  }

  get started(): Promise<ContainedProcess> {
    return this.#started.promise
  }

  readonly abort = () => this.#connection.send(encodeSignal(constants.signals.SIGKILL))

  ref(): void {
    this.#connection.ref()
  }

  unref(): void {
    this.#connection.unref()
  }

  run(rest: Buffer): PendingLaunch {
    // A caller that never waits must not be ended by an unhandled rejection.
    this.#status.promise.catch(() => {})
    if (rest.length > 0) this.#connection.send(rest)
    this.#options.signal?.addEventListener('abort', this.abort, { once: true })
    return this
  }

  /** The same, with groups that are still to come. */
  runOnce(
    coming: Promise<readonly Group[]>,
    encode: (groups: readonly Group[]) => Buffer,
  ): PendingLaunch {
    coming
      .then((groups) => {
        this.#groups = groups
        this.#connection.send(encode(groups))
      })
      .catch((error: NamespaceError) => {
        this.#failure = error
        this.#connection.close()
      })
    return this.run(Buffer.alloc(0))
  }

  #hear(event: MonitorEvent): void {
    if (this.#limits.hear(event)) return
    if (event.type === 'descriptor') this.#take(event)
    else if (event.type === 'syscall') void this.#answer(event)
    else this.#last = event
    // The monitor has nothing more to do then but to end.
    if (event.type === 'exited' && this.#failure === undefined) this.#settle(event)
    if (event.type !== 'started') return
    // It was faster than the word that it is not wanted any more: that ends it all the same.
    if (this.#options.signal?.aborted) return
    this.#hasStarted = true
    this.#started.resolve(
      new ContainedProcess({
        pid: event.pid,
        monitorPid: this.#monitorPid,
        pipes: this.pipes,
        connection: this.#connection,
        network: () => this.#containerNetwork(),
        limits: this.#limits,
        status: this.#status.promise,
        hasEnded: () => this.#ended,
      }),
    )
  }

  // Made for who asks: most never do.
  #containerNetwork(): ContainerNetwork {
    if (this.#network === undefined) {
      const send = (message: Buffer) => this.#connection.send(message)
      this.#network = new ContainerNetwork(this.#spec.network, send)
      if (this.#ended) this.#network.close()
    }
    return this.#network
  }

  async #answer(event: SyscallEvent): Promise<void> {
    const { onSyscall } = this.#options
    if (onSyscall === undefined) return // and so denied, in time
    this.#connection.send(encodeSyscallAnswer(await answerSyscall(onSyscall, event)))
  }

  // What was asked for and is not there ends the launch.
  #take(event: DescriptorEvent): void {
    try {
      this.#containerNetwork().take(event)
    } catch (error) {
      if (!(error instanceof NamespaceError)) throw error
      this.#failure = error
      this.abort()
    }
  }

  #settle(event: Extract<MonitorEvent, { type: 'exited' }>): void {
    this.#close()
    // Heard of before it started: from a monitor in trouble, or of one that was aborted.
    if (!this.#hasStarted) this.#started.reject(this.#reason(undefined))
    const status = exitStatus(event, this.#limits)
    const aborted = status.reason === 'signal' && this.#options.signal?.aborted === true
    this.#status.resolve(aborted ? { ...status, reason: 'abort' } : status)
  }

  #close(): void {
    this.#ended = true
    this.#network?.close()
    this.#limits.end()
    this.#options.signal?.removeEventListener('abort', this.abort)
  }

  #end(error: NamespaceError | undefined): void {
    if (this.#ended) return
    this.#close()
    const last = this.#last
    restoreTerminal(this.#terminal)
    if (last?.type !== 'fault') removeGroups(this.#groups)
    const reason = error ?? this.#failure ?? this.#reason(last)
    // Only one of the two is still pending: the promise of launch, or that of wait.
    this.#started.reject(reason)
    this.#status.reject(reason)
    if (last === undefined || last.type === 'fault') {
      for (const pipe of this.pipes) pipe?.destroy()
    }
  }

  #reason(last: MonitorEvent | undefined): NamespaceError {
    const { signal } = this.#options
    if (signal?.aborted && (last?.type === 'fault' || !this.#hasStarted)) return aborted(signal)
    if (last?.type === 'fault') return faultError(last, this.#spec)
    return new NamespaceError(
      'ERR_NS_MONITOR_LOST',
      `lost the monitor (process ${this.#monitorPid}): it was killed, and the container with it`,
      { hint: 'look for the out-of-memory killer, or for who sends SIGKILL' },
    )
  }
}

function openPipe(fd: Pipe, direction: 'read' | 'write'): Socket | undefined {
  if (typeof fd !== 'number') return fd
  const readable = direction === 'read'
  return new Socket({ fd, readable, writable: !readable })
}

function aborted(signal: AbortSignal): NamespaceError {
  const message = 'the launch was aborted'
  return new NamespaceError('ERR_NS_ABORTED', message, { cause: signal.reason })
}

interface SavedTerminal {
  fd: number
  state: TerminalState
}

// The monitor restores what it changes; this is for the case that it gets no chance to.
function saveTerminal(spec: LaunchSpec, { stdio }: LaunchOptions): SavedTerminal | undefined {
  const [fd] = stdio
  if (spec.process.terminal === undefined || typeof fd !== 'number' || !isatty(fd)) return undefined
  if (tryBinding() === undefined) return undefined
  return { fd, state: terminal.save(fd) }
}

function restoreTerminal(saved: SavedTerminal | undefined): void {
  if (saved === undefined) return
  try {
    terminal.restore(saved.fd, saved.state)
  } catch (error) {
    // closed by now, or hung up: nothing to restore
    if (!(error instanceof NamespaceError)) throw error
  }
}

export interface Resolvers<T> {
  promise: Promise<T>
  resolve: (value: T) => void
  reject: (reason: Error) => void
}

/** Promise.withResolvers, which came with Node 22. */
export function withResolvers<T>(): Resolvers<T> {
  let resolve: Resolvers<T>['resolve'] = () => {}
  let reject: Resolvers<T>['reject'] = () => {}
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}
