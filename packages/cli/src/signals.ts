import { constants } from 'node:os'

/**
 * Signals that stay ours: CHLD, PIPE and URG are the kernel's notes about our own descriptors and
 * children, WINCH is a resize, KILL and STOP cannot be caught, PROF is the clock of Node's profiler, and
 * the last row are faults, which would only be raised again when a handler returns.
 */
const NOT_FORWARDED: ReadonlySet<string> = new Set([
  ...['SIGCHLD', 'SIGPIPE', 'SIGURG', 'SIGWINCH', 'SIGKILL', 'SIGSTOP', 'SIGPROF'],
  ...['SIGSEGV', 'SIGBUS', 'SIGFPE', 'SIGILL', 'SIGTRAP', 'SIGSYS'],
])

/** The names of all signals that are passed on to a container in the foreground. */
export const FORWARDED_SIGNALS: readonly NodeJS.Signals[] = distinctSignals().filter(
  (signal) => !NOT_FORWARDED.has(signal),
)

/**
 * Call `forward` with each signal that this process gets, until the returned function is called:
 * from then on signals have their usual effect again.
 */
export function forwardSignals(forward: (signal: NodeJS.Signals) => void): () => void {
  for (const signal of FORWARDED_SIGNALS) process.on(signal, forward)
  return () => {
    for (const signal of FORWARDED_SIGNALS) process.off(signal, forward)
  }
}

/** A signal ended what was being done, in an orderly way. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError'
  readonly signal: NodeJS.Signals

  constructor(signal: NodeJS.Signals) {
    super(`interrupted by ${signal}`)
    this.signal = signal
  }
}

/**
 * Do something that can be aborted, and abort it on the first INT, TERM or HUP; a second has its usual
 * effect, should the orderly way take too long. Rejects with InterruptedError then.
 */
export async function interruptibly<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  let received: NodeJS.Signals | undefined
  const stopListening = () => {
    for (const signal of INTERRUPTING) process.off(signal, interrupt)
  }
  const interrupt = (signal: NodeJS.Signals) => {
    received = signal
    stopListening()
    controller.abort()
  }
  for (const signal of INTERRUPTING) process.on(signal, interrupt)
  try {
    return await work(controller.signal)
  } catch (error) {
    throw received === undefined ? error : new InterruptedError(received)
  } finally {
    stopListening()
  }
}

const INTERRUPTING: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP']

/** Whether a signal asks for an end. */
export function isInterrupting(signal: NodeJS.Signals): boolean {
  return INTERRUPTING.includes(signal)
}

/** One name a number: SIGIOT is SIGABRT, SIGPOLL is SIGIO. */
function distinctSignals(): NodeJS.Signals[] {
  const byNumber = new Map<number, NodeJS.Signals>()
  for (const [name, number] of Object.entries(constants.signals)) {
    // Object.entries widens the keys of a type whose keys are exactly the signal names
    if (!byNumber.has(number)) byNumber.set(number, name as NodeJS.Signals)
  }
  return [...byNumber.values()]
}
