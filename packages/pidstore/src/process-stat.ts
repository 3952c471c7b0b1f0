import { errnoOf, PidstoreError } from './errors.ts'
import { readKernelFile } from './small-file.ts'

/** The three facts of `/proc/<pid>/stat` that tell whether and which process has a pid. */
export interface ProcessStat {
  /** One letter: R, S, D, Z, T, t, X, I … (field 3). */
  state: string
  /** Number of threads (field 20). */
  threads: number
  /** Clock ticks from boot to the process's start, as this time namespace sees them (field 22). */
  startTime: number
}

/** `gone`: no process has the pid. `hidden`: one has, and /proc does not show it to us (hidepid). */
export type StatAnswer = ProcessStat | 'gone' | 'hidden'

/**
 * Parses the one line of `/proc/<pid>/stat` (proc_pid_stat(5)), or undefined if it is not one. The
 * second field is the program's name in parentheses and may hold spaces and parentheses itself,
 * so the fields are counted from the last `)`.
 */
export function parseProcessStat(line: string): ProcessStat | undefined {
  const end = line.lastIndexOf(') ')
  if (end < 0) return undefined
  const fields = line.slice(end + 2).split(' ')
  const [state, threads, startTime] = [fields[0], fields[17], fields[19]]
  if (state === undefined || threads === undefined || startTime === undefined) return undefined
  if (!/^\d+$/.test(startTime)) return undefined
  return { state, threads: Number(threads), startTime: Number(startTime) }
}

/**
 * Asks the kernel who has a pid. Throws `ERR_PIDSTORE_PROC` when it cannot answer, for example for
 * want of file descriptors: not being able to look is never taken for "gone".
 */
export function readProcessStat(procDir: string, pid: number): StatAnswer {
  const first = tryStat(procDir, pid)
  if (first !== undefined) return first
  if (!processExists(pid)) return 'gone'
  // Either hidden, or the pid was given to a new process between the two questions.
  return tryStat(procDir, pid) ?? 'hidden'
}

/** A process's main thread may have ended while others run: then it is Z with several threads, and alive. */
export function hasExited(stat: ProcessStat): boolean {
  return (stat.state === 'Z' || stat.state === 'X' || stat.state === 'x') && stat.threads <= 1
}

function tryStat(procDir: string, pid: number): ProcessStat | undefined {
  const path = `${procDir}/${pid}/stat`
  try {
    return parseProcessStat(readKernelFile(path, 2048))
  } catch (cause) {
    const errno = errnoOf(cause)
    // ESRCH: it ended between open and read. EPERM: hidepid=1. ENOENT: gone, or hidepid=2.
    if (errno === 'ENOENT' || errno === 'ESRCH' || errno === 'EPERM' || errno === 'EACCES') {
      return undefined
    }
    throw new PidstoreError('ERR_PIDSTORE_PROC', `cannot read ${path}: ${errno ?? cause}`, {
      pid,
      path,
      step: 'read',
      cause,
    })
  }
}

function processExists(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return errnoOf(error) !== 'ESRCH'
  }
}
