import { chmodSync, closeSync, constants, fsync, mkdirSync, openSync, readdirSync } from 'node:fs'
import { promisify } from 'node:util'
import { errnoOf, PidstoreError } from './errors.ts'

/** fsync(2) off the event loop: it is the one call here that takes milliseconds. */
export const synchronize = promisify(fsync)

/** Creates the store's directory, for its owner alone whatever the umask; an existing one is left as it is. */
export function makeDirectory(directory: string): void {
  // Only a directory that this very call made is ours to give a mode.
  if (mkdirSync(directory, { recursive: true, mode: 0o700 }) !== undefined) {
    chmodSync(directory, 0o700)
  }
}

/** Makes the names in a directory durable, where the file system can. */
export async function synchronizeDirectory(directory: string): Promise<void> {
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    await synchronize(fd)
  } catch (error) {
    // Some network and FUSE file systems have no fsync for directories.
    if (!['EINVAL', 'ENOSYS', 'ENOTSUP'].includes(errnoOf(error) ?? '')) throw error
  } finally {
    closeSync(fd)
  }
}

/** The names in the store's directory, none if it does not exist yet. Throws `ERR_PIDSTORE_READ`. */
export function readNames(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch (cause) {
    const errno = errnoOf(cause)
    if (errno === 'ENOENT') return []
    throw new PidstoreError('ERR_PIDSTORE_READ', `cannot list ${directory}: ${errno ?? cause}`, {
      path: directory,
      step: 'readdir',
      cause,
    })
  }
}
