import { closeSync, constants, openSync } from 'node:fs'
import { type ByteString, toFsPath } from './byte-string.ts'
import type { Dentry } from './dentry.ts'

/** open(2)'s O_PATH, which Node's constants lack; the same number on x86, Arm, RISC-V and s390x. */
export const O_PATH = 0o10000000
const FLAGS = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW
const CAPACITY = 256

/** Open a directory itself, never what a symlink in its last component points to. */
export function openDirectory(path: string | Buffer): number {
  return openSync(path, FLAGS)
}

/** `name` in the directory that is open as `fd`: what openat(2) and its like take, for functions that take a path. */
export function pathAt(fd: number, name: ByteString): string | Buffer {
  return toFsPath(`/proc/self/fd/${fd}/${name}`)
}

/**
 * Open directories of one tree. Every component is opened below its parent's descriptor with O_NOFOLLOW,
 * so no path is ever walked by name twice and nobody who swaps a directory for a symlink gains anything.
 */
export class DirectoryHandles {
  readonly #root: number
  /** Least recently used first. */
  readonly #open = new Map<Dentry, number>()

  constructor(directory: string | Buffer) {
    this.#root = openDirectory(directory)
  }

  /** The tree's own directory. */
  get rootFd(): number {
    return this.#root
  }

  /** A descriptor for a directory; valid until the next but one call. */
  fd(directory: Dentry): number {
    if (directory.parent === undefined) return this.#root
    const known = this.#open.get(directory)
    if (known !== undefined) {
      this.#open.delete(directory)
      this.#open.set(directory, known)
      return known
    }
    return this.#remember(directory, this.#openBelow(directory))
  }

  /** A path for `name` in `directory`; valid as long as the descriptor. */
  path(directory: Dentry, name: ByteString): string | Buffer {
    return pathAt(this.fd(directory), name)
  }

  /** Forget a directory that is about to be removed, and what is below it. */
  forget(directory: Dentry): void {
    const fd = this.#open.get(directory)
    if (fd !== undefined) {
      this.#open.delete(directory)
      closeSync(fd)
    }
    for (const child of directory.children.values()) this.forget(child)
  }

  close(): void {
    for (const fd of this.#open.values()) closeSync(fd)
    this.#open.clear()
    closeSync(this.#root)
  }

  /** Walk down from the nearest open ancestor, holding at most two descriptors that are not remembered. */
  #openBelow(directory: Dentry): number {
    const names: ByteString[] = []
    let ancestor = directory
    while (ancestor.parent !== undefined && !this.#open.has(ancestor)) {
      names.push(ancestor.name)
      ancestor = ancestor.parent
    }
    const start = this.#open.get(ancestor) ?? this.#root
    let fd = start
    for (let name = names.pop(); name !== undefined; name = names.pop()) {
      try {
        const next = openDirectory(pathAt(fd, name))
        if (fd !== start) closeSync(fd)
        fd = next
      } catch (error) {
        if (fd !== start) closeSync(fd)
        throw error
      }
    }
    return fd
  }

  #remember(directory: Dentry, fd: number): number {
    this.#open.set(directory, fd)
    if (this.#open.size > CAPACITY) {
      for (const [oldest, oldestFd] of this.#open) {
        this.#open.delete(oldest)
        closeSync(oldestFd)
        break
      }
    }
    return fd
  }
}
