import { closeSync } from 'node:fs'
import { constants } from 'node:os'
import { loadBinding } from './binding.ts'
import { signalNumber } from './contained-process.ts'
import { describeErrno } from './errno.ts'
import { NamespaceError } from './errors.ts'

/** How long {@link PidFd.wait} waits, and whether that keeps the event loop alive. */
export interface PidFdWaitOptions {
  /** Gives up: the promise rejects with the signal's reason. */
  signal?: AbortSignal
  /** Default true. */
  ref?: boolean
}

/** The parts of {@link pidfd}. */
export interface PidFd {
  /** A descriptor of the process `pid`; close it with `close`. */
  open(pid: number): number
  /** False when the process has ended; signal 0 only asks. The number of the process is not used. */
  sendSignal(fd: number, signal: NodeJS.Signals | number): boolean
  /** Resolves when the process has ended, whosever child it is. `fd` may be closed meanwhile. */
  wait(fd: number, options?: PidFdWaitOptions): Promise<void>
  close(fd: number): void
}

/**
 * Descriptors that stand for a process (pidfd_open(2)): unlike its number they never mean another
 * one. Throws ERR_NS_ENDED for a process that is not there, ERR_NS_PIDFD for what else the system
 * says. Needs the addon.
 */
export const pidfd: PidFd = {
  open(pid) {
    if (!Number.isInteger(pid) || pid < 1 || pid > 0x7fffffff) {
      throw new TypeError(`expected a process id but received ${pid}`)
    }
    return check(loadBinding().pidfdOpen(pid), 'pidfd_open', `open process ${pid}`)
  },

  sendSignal(fd, signal) {
    const number = signal === 0 ? 0 : signalNumber(signal)
    const result = loadBinding().pidfdSendSignal(checkFd(fd), number)
    if (result === -constants.errno.ESRCH) return false
    check(result, 'pidfd_send_signal', `send signal ${number}`)
    return true
  },

  // By epoll in the event loop: no thread waits, and no SIGCHLD is needed.
  wait(fd, { signal, ref = true } = {}) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const binding = loadBinding()
      const copy = check(binding.pidfdCopy(checkFd(fd)), 'fcntl', 'wait for a process')
      const handle = binding.pollOpen(copy, () => finish(resolve))
      if (typeof handle === 'number') {
        closeSync(copy)
        throw failure(-handle, 'epoll_ctl', 'wait for a process')
      }
      if (!ref) binding.pollRef(handle, false)
      const abort = () => finish(() => reject(signal?.reason))
      const finish = (settle: () => void) => {
        signal?.removeEventListener('abort', abort)
        binding.pollClose(handle)
        settle()
      }
      signal?.addEventListener('abort', abort, { once: true })
    })
  },

  close(fd) {
    closeSync(checkFd(fd))
  },
}

function checkFd(fd: number): number {
  if (Number.isInteger(fd) && fd >= 0 && fd <= 0x7fffffff) return fd
  throw new TypeError(`expected a descriptor but received ${fd}`)
}

function check(result: number, syscall: string, what: string): number {
  if (result >= 0) return result
  throw failure(-result, syscall, what)
}

function failure(errno: number, syscall: string, what: string): NamespaceError {
  const ended = errno === constants.errno.ESRCH
  const why = ended ? 'it has ended' : `${syscall}: ${describeErrno(errno).text}`
  const code = ended ? 'ERR_NS_ENDED' : 'ERR_NS_PIDFD'
  return new NamespaceError(code, `cannot ${what}: ${why}`, { errno, syscall })
}
