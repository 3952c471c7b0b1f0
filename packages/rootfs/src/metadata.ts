import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  futimesSync,
  lchownSync,
  lutimesSync,
  openSync,
  type Stats,
  utimesSync,
} from 'node:fs'
import { type ByteString, printable } from './byte-string.ts'
import { O_PATH } from './directory-handles.ts'
import { errnoOf, RootfsError } from './errors.ts'
import type { NativeFs } from './native-fs.ts'
import type { SkippedItems } from './skipped.ts'

/** What a file has beside its content. */
export interface Metadata {
  /** 12 bits. */
  mode: number
  uid: number
  gid: number
  /** Seconds since the epoch. */
  mtime: number
  /** By the name under which they are stored. */
  xattrs?: Map<string, Buffer> | undefined
}

/**
 * Whose the files become: `preserve` gives them the owners that the archive names, as seen from this
 * process's user namespace; `squash` gives everything to the caller.
 */
export type Ownership = 'preserve' | 'squash'

/** What {@link MetadataWriter} needs to know. */
export interface MetadataOptions {
  ownership: Ownership
  native: NativeFs | undefined
  skipped: SkippedItems
  /** New files belong to the caller already: nothing in the target makes them inherit another group. */
  freshTarget: boolean
}

/** The metadata of a file that is there already. */
export function metadataOf(stat: Stats): Metadata {
  return { mode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid, mtime: stat.mtimeMs / 1000 }
}

/**
 * Gives files their metadata in the one order that works: owner first, since chown(2) clears setuid and
 * file capabilities; attributes while the owner may still write; then mode; times last.
 */
export class MetadataWriter {
  readonly #options: MetadataOptions
  readonly #uid = process.geteuid?.() ?? 0
  readonly #gid = process.getegid?.() ?? 0

  constructor(options: MetadataOptions) {
    this.#options = options
  }

  /** A regular file that is open for writing as `fd` and stands at `path`. */
  file(fd: number, path: string | Buffer, entry: ByteString, meta: Metadata): void {
    this.#chown(entry, meta, (uid, gid) => fchownSync(fd, uid, gid))
    this.#setXattrs(path, entry, meta)
    fchmodSync(fd, meta.mode)
    const time = timestamp(meta.mtime)
    futimesSync(fd, time, time)
  }

  /** A directory that is open (O_PATH is enough) as `fd` and stands at `path`. */
  directory(fd: number, path: string | Buffer, entry: ByteString, meta: Metadata): void {
    const self = `/proc/self/fd/${fd}`
    this.#chown(entry, meta, (uid, gid) => chownSync(self, uid, gid))
    this.#setXattrs(path, entry, meta)
    this.touched(fd, meta)
  }

  /** A directory whose content was changed, but which is not itself part of the layer. */
  touched(fd: number, meta: Metadata): void {
    const self = `/proc/self/fd/${fd}`
    chmodSync(self, meta.mode)
    const time = timestamp(meta.mtime)
    utimesSync(self, time, time)
  }

  symlink(path: string | Buffer, entry: ByteString, meta: Metadata): void {
    this.#chown(entry, meta, (uid, gid) => lchownSync(path, uid, gid))
    this.#setXattrs(path, entry, meta)
    const time = timestamp(meta.mtime)
    lutimesSync(path, time, time)
  }

  /** A device, a FIFO, or a regular file that is not open. Never follows a symlink. */
  node(path: string | Buffer, entry: ByteString, meta: Metadata): void {
    this.#chown(entry, meta, (uid, gid) => lchownSync(path, uid, gid))
    this.#setXattrs(path, entry, meta)
    const fd = openSync(path, O_PATH | constants.O_NOFOLLOW)
    try {
      this.touched(fd, meta)
    } finally {
      closeSync(fd)
    }
  }

  #chown(entry: ByteString, meta: Metadata, chown: (uid: number, gid: number) => void): void {
    const { ownership, freshTarget } = this.#options
    const { uid, gid } = ownership === 'squash' ? { uid: this.#uid, gid: this.#gid } : meta
    if (freshTarget && uid === this.#uid && gid === this.#gid) return
    // chown(2) takes 2^32-1 as "leave it": that must not make a file the caller's.
    if (uid >= 0xffffffff || gid >= 0xffffffff) throw ownershipError(entry, uid, gid)
    try {
      chown(uid, gid)
    } catch (cause) {
      const code = errnoOf(cause)
      if (code === 'EPERM' || code === 'EINVAL') throw ownershipError(entry, uid, gid, cause)
      throw cause
    }
  }

  #setXattrs(path: string | Buffer, entry: ByteString, meta: Metadata): void {
    if (meta.xattrs === undefined) return
    for (const [name, value] of meta.xattrs) this.#setXattr(path, entry, name, value)
  }

  #setXattr(path: string | Buffer, entry: ByteString, name: string, value: Buffer): void {
    const { native, skipped } = this.#options
    if (native === undefined) {
      skipped.add(entry, { what: 'xattr', detail: name, reason: 'needs native.setxattr' })
      return
    }
    try {
      native.setxattr(path, name, value)
    } catch (cause) {
      const reason = errnoOf(cause) ?? ''
      // Not for this kind of file, not for this user, or not on this file system.
      if (!['EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP', 'EINVAL'].includes(reason)) throw cause
      skipped.add(entry, { what: 'xattr', detail: name, reason })
    }
  }
}

/** Node takes negative numbers for "now", but not negative dates. Fractions keep about 0.3 µs. */
function timestamp(seconds: number): number | Date {
  return seconds >= 0 ? seconds : new Date(Math.max(seconds * 1000, -8.64e15))
}

function ownershipError(entry: ByteString, uid: number, gid: number, cause?: unknown): RootfsError {
  const name = printable(entry)
  return new RootfsError(
    'ERR_ROOTFS_OWNERSHIP',
    `cannot give ${name} to ${uid}:${gid}: this process may not, or the ids are not mapped here`,
    {
      entry: name,
      cause,
      hint: 'map more ids (/etc/subuid, /etc/subgid), or unpack with ownership squash',
    },
  )
}
