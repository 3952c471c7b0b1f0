import { type Ending, statusOfEnding, statusOfSignal } from './exit-status.ts'
import { forwardSignals, InterruptedError, isInterrupting } from './signals.ts'
import type { TerminalSize } from './terminal.ts'

/** A running container as the foreground needs it. */
export interface ForegroundContainer {
  wait(): Promise<Ending>
  kill(signal: NodeJS.Signals): void
  resize(size: TerminalSize): void
}

/** How a container is run in the foreground. */
export interface ForegroundOptions {
  /** Start it; the signal aborts. Rejects when it does not come to run. */
  start(signal: AbortSignal): Promise<ForegroundContainer>
  /** The size of our terminal, where the container has one of its own that is to follow it. */
  terminalSize?: (() => TerminalSize) | undefined
  /**
   * Ctrl-Z stops us together with the container. Not where our terminal is read for the container:
   * that would go on, and take what is typed from the shell.
   */
  suspendable: boolean
}

/**
 * Run a container to its end as if it were a child of the shell: every signal is passed on to it.
 * Returns the exit status. Rejects with InterruptedError when a signal came before it ran.
 */
export async function runInForeground(options: ForegroundOptions): Promise<number> {
  const early = new EarlySignals()
  let onSignal = (signal: NodeJS.Signals) => early.take(signal)
  const stopForwarding = forwardSignals((signal) => onSignal(signal))
  try {
    const container = await early.during(options.start)
    onSignal = (signal) => pass(container, signal, options)
    for (const signal of early.held) onSignal(signal)
    return await followToEnd(container, options)
  } finally {
    stopForwarding()
  }
}

/** How long it may take to learn that a container runs, which a signal may be meant for. */
const PATIENCE_MS = 300

/**
 * Signals that come while a container is being started. The program may already run and have said so
 * before we have heard of it, so they are kept for it; those that mean an end also end a start that
 * goes on (a pull, say), and the next one does so at once.
 */
class EarlySignals {
  readonly held: NodeJS.Signals[] = []
  readonly #controller = new AbortController()
  #timer: NodeJS.Timeout | undefined

  take(signal: NodeJS.Signals): void {
    this.held.push(signal)
    if (!isInterrupting(signal)) return
    if (this.#controller.signal.aborted) process.exit(statusOfSignal(signal))
    this.#timer ??= setTimeout(() => this.#controller.abort(), PATIENCE_MS)
  }

  async during<T>(start: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { signal } = this.#controller
    try {
      return await start(signal)
    } catch (error) {
      const received = this.held.find(isInterrupting)
      throw signal.aborted && received !== undefined ? new InterruptedError(received) : error
    } finally {
      clearTimeout(this.#timer)
    }
  }
}

async function followToEnd(
  container: ForegroundContainer,
  { terminalSize }: ForegroundOptions,
): Promise<number> {
  const stopFollowing = followSize(container, terminalSize)
  try {
    return statusOfEnding(await container.wait())
  } finally {
    stopFollowing()
  }
}

function pass(
  container: ForegroundContainer,
  signal: NodeJS.Signals,
  options: ForegroundOptions,
): void {
  if (signal === 'SIGTSTP') suspend(container, options)
  else forward(container, signal)
}

/** A signal for a container that has just ended is nobody's any more. */
function forward(container: ForegroundContainer, signal: NodeJS.Signals): void {
  try {
    container.kill(signal)
  } catch {
    // gone: wait() is about to say so
  }
}

/** Our SIGCONT is passed on like any other signal. */
function suspend(container: ForegroundContainer, { suspendable }: ForegroundOptions): void {
  if (!suspendable) return
  forward(container, 'SIGTSTP')
  process.kill(process.pid, 'SIGSTOP')
}

function followSize(
  container: ForegroundContainer,
  size: (() => TerminalSize) | undefined,
): () => void {
  if (size === undefined) return () => {}
  const onResize = () => {
    try {
      container.resize(size())
    } catch {
      // gone: wait() is about to say so
    }
  }
  process.on('SIGWINCH', onResize)
  onResize() // it may have changed since the container was given its first size
  return () => {
    process.off('SIGWINCH', onResize)
  }
}
