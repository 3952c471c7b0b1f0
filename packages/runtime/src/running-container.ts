import type { ContainedProcess, ExitStatus } from '@cromwell/ns-native'

/** A container that this process started. */
export class RunningContainer {
  readonly id: string
  /** Of PID 1 of the container, as the host sees it. */
  readonly pid: number
  /** What is at the other end of its stdin, stdout and stderr, where `pipe` was asked for. */
  readonly stdio: Pick<ContainedProcess, 'stdin' | 'stdout' | 'stderr'>
  readonly #process: ContainedProcess
  readonly #cleanUp: () => Promise<void>
  #status: Promise<ExitStatus> | undefined

  /** @internal */
  constructor(id: string, process: ContainedProcess, cleanUp: () => Promise<void>) {
    this.id = id
    this.pid = process.pid
    this.stdio = process
    this.#process = process
    this.#cleanUp = cleanUp
  }

  /**
   * Resolves when the container has ended and its records say so. Rejects with NamespaceError
   * ERR_NS_MONITOR_LOST when its monitor was killed, which ends the container too.
   */
  wait(): Promise<ExitStatus> {
    this.#status ??= this.#process.wait().finally(this.#cleanUp)
    return this.#status
  }

  /** Send a signal to the container's main process; SIGKILL ends all of it. False when it has ended. */
  kill(signal: NodeJS.Signals | number): boolean {
    return this.#process.kill(signal)
  }

  /** Tell the container's terminal its new size. */
  resize(size: { columns: number; rows: number }): void {
    this.#process.resize(size)
  }
}
