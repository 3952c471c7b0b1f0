import { openSync, readSync } from 'node:fs'
import type { ReadStream } from 'node:tty'
import { CliError } from './errors.ts'
import type { Output } from './output.ts'
import { InterruptedError } from './signals.ts'
import { isTerminal } from './terminal.ts'

const STDIN = 0
const MAX_LENGTH = 64 * 1024

/**
 * Ask on the terminal and wait for a line; `hidden` shows nothing of it.
 *
 * Throws ERR_CLI_NOT_A_TERMINAL where stdin is none, and InterruptedError on Ctrl-C.
 */
export function ask(out: Output, question: string, { hidden = false } = {}): string {
  if (!isTerminal(STDIN)) {
    throw new CliError(
      'ERR_CLI_NOT_A_TERMINAL',
      'cannot ask for user and password: stdin is not a terminal',
      {
        hint: 'use --username and --password-stdin',
      },
    )
  }
  out.write(question)
  if (!hidden) return readLine()
  const restore = makeRaw()
  try {
    return readHiddenLine()
  } finally {
    restore()
    out.write('\n')
  }
}

/** All of stdin, without the end of its last line. */
export function readPassword(): string {
  return readWhile(() => true).replace(/\r?\n$/, '')
}

function readLine(): string {
  return readWhile((text) => !text.includes('\n')).replace(/\r?\n[\s\S]*$/, '')
}

/** The terminal is raw: what it would do with the keys is done here. */
function readHiddenLine(): string {
  let line: string[] = []
  readWhile((text) => {
    line = []
    for (const key of text) {
      if (key === '\r' || key === '\n' || key === '\u0004') return false
      if (key === '\u0003') throw new InterruptedError('SIGINT')
      if (key === '\u0015') line = []
      else if (key === '\u007f' || key === '\b') line.pop()
      else line.push(key)
    }
    return true
  })
  return line.join('')
}

/** Read on as long as `isMore` says of what was read so far. */
function readWhile(isMore: (text: string) => boolean): string {
  const bytes: Buffer[] = []
  const buffer = Buffer.alloc(4096)
  let text = ''
  while (text.length < MAX_LENGTH && isMore(text)) {
    const count = readSome(buffer)
    if (count === 0) break
    bytes.push(Buffer.from(buffer.subarray(0, count)))
    text = Buffer.concat(bytes).toString('utf8')
  }
  return text
}

function readSome(buffer: Buffer): number {
  for (;;) {
    try {
      return readSync(STDIN, buffer)
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      if (code !== 'EAGAIN') throw error
      // somebody else made the description non-blocking, and there is nothing yet
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
    }
  }
}

/** Set the terminal to raw mode; returns what sets it back. */
function makeRaw(): () => void {
  const { stream, close } = openTerminal()
  stream.setRawMode(true)
  return () => {
    stream.setRawMode(false)
    close()
  }
}

/** The terminal through a descriptor of our own; after `su` it is somebody else's, and only stdin is left. */
function openTerminal(): { stream: ReadStream; close(): void } {
  const tty = process.getBuiltinModule('node:tty')
  try {
    const stream = new tty.ReadStream(openSync(`/proc/self/fd/${STDIN}`, 'r+'))
    return { stream, close: () => stream.destroy() }
  } catch {
    const { stdin } = process
    return { stream: stdin, close: () => stdin.unref() }
  }
}
