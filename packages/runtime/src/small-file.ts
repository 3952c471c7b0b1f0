import { closeSync, openSync, readSync } from 'node:fs'

const buffer = Buffer.allocUnsafe(64 * 1024)

/**
 * The text of a file of less than 64 KiB, or undefined when there is none. Half the system calls of
 * readFileSync, which matters when `ps` reads thousands.
 */
export function readSmallFile(path: string): string | undefined {
  let descriptor: number
  try {
    descriptor = openSync(path, 'r')
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) return undefined
    throw error
  }
  try {
    const length = readSync(descriptor, buffer, 0, buffer.length, 0)
    if (length === buffer.length) throw new Error(`${path} is larger than 64 KiB`)
    return buffer.toString('utf8', 0, length)
  } finally {
    closeSync(descriptor)
  }
}

/** Whether an error is the system's, with this errno name. */
export function isErrno(error: unknown, name: string): boolean {
  return error instanceof Error && 'code' in error && error.code === name
}
