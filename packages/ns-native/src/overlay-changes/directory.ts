import {
  type BigIntStats,
  chmodSync,
  closeSync,
  constants,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  unlinkSync,
} from 'node:fs'

/**
 * A file name as its bytes, one character each (latin1): Linux names are bytes, and decoding them as
 * UTF-8 would make different names equal.
 */
export type Name = string

/** open(2)'s O_PATH, which Node's constants lack. */
const O_PATH = 0o10000000
/** Deeper directories are moved up and removed later, so that descriptors and the stack suffice. */
const MAX_DEPTH = 128

/**
 * An open directory. What is in it is named below its descriptor, so no path is walked twice, and whoever
 * swaps a directory for a link meanwhile gains nothing: no link is ever followed.
 */
export class Directory {
  readonly fd: number

  private constructor(fd: number) {
    this.fd = fd
  }

  /** By a path of the caller's, whose links are followed. */
  static open(path: string): Directory {
    return new Directory(openSync(path, O_PATH | constants.O_DIRECTORY))
  }

  /** A directory in this one. Throws ENOTDIR for a link, whatever it leads to. */
  enter(name: Name): Directory {
    const flags = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW
    return new Directory(openSync(this.at(name), flags))
  }

  /** For functions that take a path; those that follow a last link must not be given it. */
  at(name: Name): Buffer {
    return Buffer.from(`/proc/self/fd/${this.fd}/${name}`, 'latin1')
  }

  /** For functions that follow the last link: the directory itself. */
  get self(): string {
    return `/proc/self/fd/${this.fd}`
  }

  /** Sorted by their bytes. */
  names(): Name[] {
    const names = readdirSync(this.self, { encoding: 'buffer' })
    return names.map((name) => name.toString('latin1')).sort(compareNames)
  }

  stat(name: Name): BigIntStats | undefined {
    return lstatSync(this.at(name), { bigint: true, throwIfNoEntry: false })
  }

  readlink(name: Name): Buffer {
    return readlinkSync(this.at(name), { encoding: 'buffer' })
  }

  close(): void {
    closeSync(this.fd)
  }

  /** Removes what is called so, with everything in it. */
  remove(name: Name): void {
    const queue = [name]
    const defer = (directory: Directory, deep: Name): void => {
      const moved = `.remove-${process.pid}-${Date.now()}-${queue.length}`
      renameSync(directory.at(deep), this.at(moved))
      queue.push(moved)
    }
    for (const next of queue) this.#removeOne(next, 1, defer)
  }

  /** Removes everything in it but what is to be kept. */
  clear(keep: ReadonlySet<Name> = new Set()): void {
    for (const name of this.names()) if (!keep.has(name)) this.remove(name)
  }

  #removeOne(name: Name, depth: number, defer: (directory: Directory, name: Name) => void): void {
    if (unlinked(this.at(name))) return
    using(this.#enterable(name), (directory) => {
      for (const child of directory.names()) {
        if (depth < MAX_DEPTH) directory.#removeOne(child, depth + 1, defer)
        else if (!unlinked(directory.at(child))) defer(directory, child)
      }
    })
    rmdirSync(this.at(name))
  }

  /** Overlayfs leaves its work directory closed even to its owner. */
  #enterable(name: Name): Directory {
    const directory = this.enter(name)
    if (((this.stat(name)?.mode ?? 0n) & 0o700n) !== 0o700n) chmodSync(directory.self, 0o700)
    return directory
  }
}

/** Do something with a directory, and close it. */
export function using<T>(directory: Directory, action: (directory: Directory) => T): T {
  try {
    return action(directory)
  } finally {
    directory.close()
  }
}

export function compareNames(a: Name, b: Name): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** False when it is a directory; true when it was not there. */
function unlinked(path: Buffer): boolean {
  try {
    unlinkSync(path)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException // what node:fs throws
    if (code === 'ENOENT') return true
    if (code === 'EISDIR') return false
    throw error
  }
}
