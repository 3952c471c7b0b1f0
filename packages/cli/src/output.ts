import { writeSync } from 'node:fs'
import { isTerminal } from './terminal.ts'

/** The reader of stdout or stderr is gone (`cromwell ps | head -1`): there is nobody to tell. */
export class OutputClosedError extends Error {
  override readonly name = 'OutputClosedError'
}

/**
 * Stdout or stderr, written synchronously by descriptor. A Node stream would switch the open file
 * description to non-blocking, and the contained process shares that description with us.
 */
export class Output {
  readonly fd: number
  #isTerminal: boolean | undefined

  constructor(fd: number) {
    this.fd = fd
  }

  /** Whether a terminal is on the other side. */
  get isTerminal(): boolean {
    this.#isTerminal ??= isTerminal(this.fd)
    return this.#isTerminal
  }

  /** Write all of it. Throws {@link OutputClosedError} when the reader is gone. */
  write(content: string | Uint8Array): void {
    let rest: Uint8Array = typeof content === 'string' ? Buffer.from(content) : content
    while (rest.length > 0) rest = rest.subarray(this.#writeSome(rest))
  }

  #writeSome(bytes: Uint8Array): number {
    try {
      return writeSync(this.fd, bytes)
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      if (code === 'EPIPE') throw new OutputClosedError('the reader of our output is gone')
      if (code !== 'EAGAIN') throw error
      // somebody else made the description non-blocking, and its buffer is full
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
      return 0
    }
  }
}
