import type { RunningContainer } from '@cromwell/runtime'
import { signalExitCode } from './signal.ts'

/** How a container ended. */
export interface ContainerExit {
  /** The program's own; 128 + n when signal n ended it. */
  exitCode: number
  signal: NodeJS.Signals | null
  usage: { userMs: number; systemMs: number; maxRssBytes: number }
}

/** A container that `engine.run` started. */
export class Container {
  readonly id: string
  readonly name: string
  /** Of the container's PID 1, as the host sees it. */
  readonly pid: number
  /** Streams, where stdio says `pipe`. */
  readonly stdin: RunningContainer['stdio']['stdin']
  readonly stdout: RunningContainer['stdio']['stdout']
  readonly stderr: RunningContainer['stdio']['stderr']
  readonly #running: RunningContainer
  readonly #remove: () => Promise<void>

  /** @internal */
  constructor(running: RunningContainer, name: string, remove: () => Promise<void>) {
    this.id = running.id
    this.name = name
    this.pid = running.pid
    this.stdin = running.stdio.stdin
    this.stdout = running.stdio.stdout
    this.stderr = running.stdio.stderr
    this.#running = running
    this.#remove = remove
  }

  /**
   * Resolves when the container has ended and, with `removeOnExit`, is gone.
   * Rejects with NamespaceError ERR_NS_MONITOR_LOST when its monitor was killed.
   */
  async wait(): Promise<ContainerExit> {
    const { exitCode, signal, usage } = await this.#running.wait()
    return { exitCode: exitCode ?? signalExitCode(signal ?? ''), signal, usage }
  }

  /** Send a signal to the main process; SIGKILL ends all of it. False when it has ended. */
  kill(signal: NodeJS.Signals | number = 'SIGTERM'): boolean {
    return this.#running.kill(signal)
  }

  /** Tell the container's terminal its new size. */
  resize(size: { columns: number; rows: number }): void {
    this.#running.resize(size)
  }

  /** End the container, if it has not ended, and remove it, if it is still there. */
  async remove(): Promise<void> {
    await this.#remove()
  }
}
