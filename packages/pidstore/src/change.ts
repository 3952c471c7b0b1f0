import { errnoOf, PidstoreError } from './errors.ts'

/** One named step of changing the store. */
export interface Step {
  /** One word, for the error: `mkdir`, `lock`, `write`, `fsync`, `rename`, `unlink`. */
  step: string
  path: string
  id?: string
}

/** Runs one step of a change; a system call's failure becomes `ERR_PIDSTORE_WRITE` naming the step. */
export async function change<T>(at: Step, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    const errno = errnoOf(cause)
    if (errno === undefined || cause instanceof PidstoreError) throw cause
    const hint = hintFor(errno)
    throw new PidstoreError('ERR_PIDSTORE_WRITE', `cannot ${at.step} ${at.path}: ${errno}`, {
      ...at,
      ...(hint === undefined ? {} : { hint }),
      cause,
    })
  }
}

function hintFor(errno: string): string | undefined {
  switch (errno) {
    case 'ENOSPC':
    case 'EDQUOT':
      return 'free some space on the file system of the store, or raise the quota'
    case 'EROFS':
    case 'EACCES':
      return 'use a directory that this user may write to'
    case 'EPERM':
    case 'ENOSYS':
    case 'ENOTSUP':
      return 'use a directory on a file system with symbolic links, writable by this user'
    case 'ENOTDIR':
    case 'EEXIST':
    case 'EISDIR':
      return 'something that is not ours is in the way: look at it and move it'
    default:
      return undefined
  }
}
