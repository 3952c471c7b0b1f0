import { constants } from 'node:os'

/**
 * Signals that stay ours: CHLD, PIPE and URG are the kernel's notes about our own descriptors and
 * children, WINCH is a resize, KILL and STOP cannot be caught, and the last row are faults, which
 * would only be raised again when a handler returns.
 */
const NOT_FORWARDED: ReadonlySet<string> = new Set([
  ...['SIGCHLD', 'SIGPIPE', 'SIGURG', 'SIGWINCH', 'SIGKILL', 'SIGSTOP'],
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

/** A long call that Ctrl-C ends in an orderly way. */
export interface Interruption {
  signal: AbortSignal
  /** The signal that came, if one did. */
  received(): NodeJS.Signals | undefined
  /** Give signals their usual effect again. */
  dispose(): void
}

/**
 * Abort on the first of INT, TERM and HUP; the second has its usual effect, should the orderly way
 * take too long.
 */
export function interruptible(): Interruption {
  const controller = new AbortController()
  let received: NodeJS.Signals | undefined
  const abort = (signal: NodeJS.Signals) => {
    received = signal
    dispose()
    controller.abort()
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  const dispose = () => {
    for (const signal of signals) process.off(signal, abort)
  }
  for (const signal of signals) process.on(signal, abort)
  return { signal: controller.signal, received: () => received, dispose }
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
