import {
  chmodSync,
  closeSync,
  fstatSync,
  readdirSync,
  renameSync,
  rmdirSync,
  unlinkSync,
} from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import { type ByteString, encodePath, toByteString } from './byte-string.ts'
import { openDirectory, pathAt } from './directory-handles.ts'
import { errnoOf, RootfsError } from './errors.ts'

/** Deeper directories are moved up and removed later, so that descriptors and the stack suffice. */
const MAX_DEPTH = 128

/**
 * Remove a directory and everything in it; nothing happens if it is not there. Symlinks are removed,
 * never followed, even if somebody swaps directories for symlinks meanwhile (the class of
 * CVE-2022-21658), and directories that their owner may not enter are made enterable first.
 * Throws `ERR_ROOTFS_WRITE`.
 */
export function removeTree(directory: string): void {
  const path = resolve(directory)
  try {
    const parent = openDirectory(dirname(path))
    try {
      removeAt(parent, encodePath(basename(path)))
    } finally {
      closeSync(parent)
    }
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return
    const message = cause instanceof Error ? cause.message : String(cause)
    throw new RootfsError('ERR_ROOTFS_WRITE', `cannot remove ${path}: ${message}`, { path, cause })
  }
}

/** Remove `name`, whatever it is, from the directory that is open as `parent`. Throws the system's error. */
export function removeAt(parent: number, name: ByteString): void {
  const queue = [name]
  const defer = (fd: number, deep: ByteString): void => {
    const moved = `.remove-${process.pid}-${Date.now()}-${queue.length}`
    renameSync(pathAt(fd, deep), pathAt(parent, moved))
    queue.push(moved)
  }
  for (const next of queue) {
    if (unlink(parent, next)) continue
    const fd = openEnterable(parent, next)
    try {
      removeContent(fd, 1, defer)
    } finally {
      closeSync(fd)
    }
    rmdirSync(pathAt(parent, next))
  }
}

function removeContent(
  fd: number,
  depth: number,
  defer: (fd: number, name: ByteString) => void,
): void {
  for (const item of readdirSync(`/proc/self/fd/${fd}`, {
    withFileTypes: true,
    encoding: 'buffer',
  })) {
    const name = toByteString(item.name)
    if (!item.isDirectory() && unlink(fd, name)) continue
    const child = openEnterable(fd, name)
    try {
      if (depth >= MAX_DEPTH) {
        defer(fd, name)
        continue
      }
      removeContent(child, depth + 1, defer)
    } finally {
      closeSync(child)
    }
    rmdirSync(pathAt(fd, name))
  }
}

/** False when it is a directory, which only rmdir(2) removes. */
function unlink(parent: number, name: ByteString): boolean {
  try {
    unlinkSync(pathAt(parent, name))
    return true
  } catch (error) {
    if (errnoOf(error) === 'EISDIR') return false
    throw error
  }
}

/** Open a directory; give its owner the right to empty it. */
function openEnterable(parent: number, name: ByteString): number {
  const fd = openDirectory(pathAt(parent, name))
  try {
    const mode = fstatSync(fd).mode & 0o7777
    if ((mode & 0o700) !== 0o700) chmodSync(`/proc/self/fd/${fd}`, mode | 0o700)
    return fd
  } catch (error) {
    closeSync(fd)
    throw error
  }
}
