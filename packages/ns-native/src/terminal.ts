import { loadBinding } from './binding.ts'
import { describeErrno } from './errno.ts'
import { NamespaceError } from './errors.ts'

/** A terminal's mode (termios), opaque. */
export interface TerminalState {
  readonly bytes: Uint8Array
}

const STATE_BYTES = 64

/** Keep and give back the mode of a terminal. Both throw ERR_NS_TERMINAL, also for a non-terminal. */
export const terminal = {
  /** The mode of the terminal behind a descriptor, to be given to `restore`. */
  save(fd: number): TerminalState {
    const bytes = new Uint8Array(STATE_BYTES)
    check('read', fd, loadBinding().terminalSave(fd, bytes))
    return { bytes }
  },

  /** Set the mode back to what `save` saw. */
  restore(fd: number, state: TerminalState): void {
    check('set', fd, loadBinding().terminalLoad(fd, state.bytes))
  },
}

function check(verb: string, fd: number, result: number): void {
  if (result >= 0) return
  const { text } = describeErrno(-result)
  throw new NamespaceError(
    'ERR_NS_TERMINAL',
    `cannot ${verb} the terminal mode of descriptor ${fd}: ${text}`,
    { errno: -result, syscall: 'ioctl' },
  )
}
