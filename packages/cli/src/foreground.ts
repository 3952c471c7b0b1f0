import { type Ending, statusOfEnding } from './exit-status.ts'
import { forwardSignals } from './signals.ts'
import type { TerminalSize } from './terminal.ts'

/** A running container as the foreground needs it. */
export interface ForegroundContainer {
  wait(): Promise<Ending>
  kill(signal: NodeJS.Signals): void
  resize(size: TerminalSize): void
}

/** How a container is held in the foreground. */
export interface ForegroundOptions {
  /** The size of our terminal, where the container has one of its own that is to follow it. */
  terminalSize?: (() => TerminalSize) | undefined
  /**
   * Ctrl-Z stops us together with the container. Not where our terminal is read for the container:
   * that would go on, and take what is typed from the shell.
   */
  suspendable: boolean
}

/**
 * Stay with a container to its end as if it were a child of the shell: all signals are passed on to it.
 * Returns the exit status.
 */
export async function holdInForeground(
  container: ForegroundContainer,
  options: ForegroundOptions,
): Promise<number> {
  const stopForwarding = forwardSignals((signal) => {
    if (signal === 'SIGTSTP') suspend(container, options)
    else forward(container, signal)
  })
  const stopFollowing = followSize(container, options.terminalSize)
  try {
    return statusOfEnding(await container.wait())
  } finally {
    stopFollowing()
    stopForwarding()
  }
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
