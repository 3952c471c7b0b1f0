import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/** A Node process that runs a program against the built package and talks in lines. */
export class Worker implements AsyncDisposable {
  readonly process: ChildProcess
  readonly #lines: AsyncIterator<string>
  readonly #ended: Promise<void>

  constructor(program: string, ...args: string[]) {
    this.process = spawn(process.execPath, ['--input-type=module', '-e', program, '--', ...args], {
      cwd: `${import.meta.dirname}/..`, // so that the package finds itself by name
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const { stdout } = this.process
    if (stdout === null) throw new Error('stdout is a pipe')
    this.#lines = createInterface(stdout)[Symbol.asyncIterator]()
    this.#ended = new Promise((resolve) => this.process.once('exit', () => resolve()))
  }

  /** The next line it prints, or undefined when it has ended. */
  async line(): Promise<string | undefined> {
    const { value, done } = await this.#lines.next()
    return done ? undefined : value
  }

  send(line: string): void {
    this.process.stdin?.write(`${line}\n`)
  }

  /** Until it is gone and has been waited for; true if it was killed. */
  async ended(): Promise<boolean> {
    await this.#ended
    return this.process.signalCode === 'SIGKILL'
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.process.kill('SIGKILL')
    await this.#ended
  }
}
