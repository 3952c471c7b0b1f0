import { constants, openSync } from 'node:fs'
import type { WriteStream } from 'node:tty'

/** Columns and rows of a terminal. */
export interface TerminalSize {
  columns: number
  rows: number
}

const FALLBACK: TerminalSize = { columns: 80, rows: 24 }

/** Whether a descriptor is a terminal. `node:tty` takes longer to load than the question, so it waits for it. */
export function isTerminal(fd: number): boolean {
  return process.getBuiltinModule('node:tty').isatty(fd)
}

/**
 * What tells the present size of the terminal behind a descriptor; 80 by 24 where that does not say.
 * The terminal is opened a second time: a Node stream on the descriptor itself would change flags that
 * other processes see.
 */
export function terminalSizer(fd: number): () => TerminalSize {
  const stream = openSecondTime(fd)
  return () => {
    stream?._refreshSize()
    const { columns = 0, rows = 0 } = stream ?? {}
    return columns > 0 && rows > 0 ? { columns, rows } : FALLBACK
  }
}

/** A terminal stream, with what Node itself calls on SIGWINCH, but only for its own stdout and stderr. */
type Refreshable = WriteStream & { _refreshSize(): void }

function openSecondTime(fd: number): Refreshable | undefined {
  const tty = process.getBuiltinModule('node:tty')
  try {
    const again = openSync(`/proc/self/fd/${fd}`, constants.O_RDWR | constants.O_NOCTTY)
    // _refreshSize has been there since 2011, but the types only have what is documented
    return new tty.WriteStream(again) as Refreshable
  } catch {
    return onDescriptorItself(fd) // after su, a terminal may belong to somebody else
  }
}

/** Where we may not open the terminal, libuv may not either, and then leaves the flags as they are. */
function onDescriptorItself(fd: number): Refreshable | undefined {
  try {
    return new (process.getBuiltinModule('node:tty').WriteStream)(fd) as Refreshable
  } catch {
    return undefined
  }
}

/** The terminal we are used from, asked for at stdin first; undefined where none of the three is one. */
export function ownTerminal(): { size(): TerminalSize } | undefined {
  const fd = [0, 1, 2].find(isTerminal)
  return fd === undefined ? undefined : { size: terminalSizer(fd) }
}
