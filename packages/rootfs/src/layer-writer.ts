import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  linkSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeSync,
} from 'node:fs'
import { type ByteString, encodePath, printable, toFsPath } from './byte-string.ts'
import { copyFile } from './copy-file.ts'
import type { Dentry } from './dentry.ts'
import { DentryTree } from './dentry-tree.ts'
import { DirectoryHandles } from './directory-handles.ts'
import { splitEntryName } from './entry-name.ts'
import { RootfsError } from './errors.ts'
import { InPlaceLower } from './in-place-lower.ts'
import { enforceLimit, type Limits } from './limits.ts'
import { MergedLower } from './merged-lower.ts'
import { MetadataWriter, type Ownership } from './metadata.ts'
import type { NativeFs } from './native-fs.ts'
import { writeWhiteouts } from './overlay-whiteouts.ts'
import { SkippedItems } from './skipped.ts'
import { describeSpecialFile, makeSpecialFile, type SpecialFile } from './special-file.ts'
import type { TarEntry } from './tar-entry.ts'
import type { TarSink } from './tar-reader.ts'
import { UpperTree } from './upper-tree.ts'
import { classifyName } from './whiteout-name.ts'
import { explainWriteError } from './write-error.ts'
import { storedXattrs } from './xattr-policy.ts'

/** Where and how a layer is written. */
export interface LayerWriterOptions {
  directory: string
  /** Base first; empty when the layer is applied in place. */
  lowerDirs: readonly string[]
  inPlace: boolean
  ownership: Ownership
  native: NativeFs | undefined
  limits: Limits
}

const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW

/**
 * Writes the entries of one layer, synchronously: a thread hop per system call costs ten times the call.
 * Names are resolved in memory inside the merged tree; everything is then made relative to a descriptor of
 * its parent directory, exclusively and without following symlinks.
 */
export class LayerWriter implements TarSink {
  entries = 0
  bytes = 0
  readonly skipped = new SkippedItems()
  readonly #options: LayerWriterOptions
  readonly #handles: DirectoryHandles
  readonly #inPlaceLower: InPlaceLower | undefined
  readonly #tree: DentryTree
  readonly #upper: UpperTree
  readonly #metadata: MetadataWriter
  #open: { fd: number; path: string | Buffer; entry: TarEntry } | undefined

  constructor(options: LayerWriterOptions) {
    const { directory, lowerDirs, inPlace, ownership, native, limits } = options
    this.#options = options
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    this.#handles = new DirectoryHandles(toFsPath(encodePath(directory)))
    // A directory inherits setgid from its parent and hands it down; nothing may inherit a group here.
    if (!inPlace) chmodSync(`/proc/self/fd/${this.#handles.rootFd}`, 0o700)
    this.#inPlaceLower = inPlace ? new InPlaceLower(this.#handles) : undefined
    this.#tree = new DentryTree(this.#inPlaceLower ?? new MergedLower(lowerDirs, native), limits)
    this.#metadata = new MetadataWriter({
      ownership,
      native,
      skipped: this.skipped,
      freshTarget: !inPlace && fstatSync(this.#handles.rootFd).gid === process.getegid?.(),
    })
    this.#upper = new UpperTree({
      tree: this.#tree,
      handles: this.#handles,
      metadata: this.#metadata,
      inPlace,
    })
  }

  entry(entry: TarEntry): void {
    const { limits } = this.#options
    this.entries++
    this.bytes += entry.size
    enforceLimit(limits, 'entries', this.entries)
    enforceLimit(limits, 'bytes', this.bytes, printable(entry.name))
    try {
      this.#apply({ ...entry, xattrs: storedXattrs(entry.xattrs) })
    } catch (error) {
      throw explainWriteError(error, entry.name)
    }
  }

  data(chunk: Buffer): void {
    if (this.#open === undefined) return // the body of a whiteout
    try {
      let at = 0
      while (at < chunk.length) at += writeSync(this.#open.fd, chunk, at)
    } catch (error) {
      throw explainWriteError(error, this.#open.entry.name)
    }
  }

  end(): void {
    if (this.#open === undefined) return
    const { fd, path, entry } = this.#open
    try {
      this.#metadata.file(fd, path, entry.name, entry)
    } catch (error) {
      throw explainWriteError(error, entry.name)
    }
    this.#open = undefined
    closeSync(fd)
  }

  /** Write what has to wait for the last entry: whiteouts, then directories' metadata. */
  finish(): void {
    try {
      if (this.#inPlaceLower === undefined) {
        writeWhiteouts({ tree: this.#tree, handles: this.#handles, native: this.#options.native })
      }
      this.#upper.finish(this.#inPlaceLower?.unlocked ?? new Set())
    } catch (error) {
      throw explainWriteError(error)
    }
  }

  /** Close all descriptors; call it however the unpacking ended. */
  close(): void {
    if (this.#open !== undefined) closeSync(this.#open.fd)
    this.#open = undefined
    this.#handles.close()
  }

  #apply(entry: TarEntry): void {
    const components = splitEntryName(entry.name, this.#options.limits)
    const name = components.pop()
    if (name === undefined) {
      this.#applyRoot(entry)
      return
    }
    const meaning = classifyName(entry, [...components, name])
    if (meaning.meaning === 'aufs') {
      this.skipped.add(entry.name, {
        what: 'aufs',
        detail: entry.type,
        reason: 'book-keeping of aufs',
      })
      return
    }
    const parent = this.#tree.resolve(components, true)
    if (meaning.meaning === 'opaque') this.#upper.hideContent(parent)
    else if (meaning.meaning === 'entry') this.#make(entry, parent, name)
    else if (parent.kind === 'directory') this.#upper.hide(this.#tree.child(parent, meaning.target))
  }

  #applyRoot(entry: TarEntry): void {
    if (entry.type !== 'directory') {
      const name = printable(entry.name)
      throw new RootfsError(
        'ERR_ROOTFS_ENTRY',
        `cannot unpack ${name}: the root can only be a directory`,
        {
          entry: name,
        },
      )
    }
    this.#upper.ensureDirectory(this.#tree.root)
    this.#upper.setMetadata(this.#tree.root, entry)
  }

  #make(entry: TarEntry, parent: Dentry, name: ByteString): void {
    switch (entry.type) {
      case 'file':
        this.#makeFile(entry, parent, name)
        break
      case 'directory':
        this.#upper.setMetadata(this.#upper.place(parent, name, 'directory'), entry)
        break
      case 'symlink':
        this.#makeSymlink(entry, parent, name)
        break
      case 'hardlink':
        this.#makeHardLink(entry, parent, name)
        break
      default:
        this.#makeSpecial(entry, { ...entry, type: entry.type }, parent, name)
    }
  }

  #makeFile(entry: TarEntry, parent: Dentry, name: ByteString): void {
    const dentry = this.#upper.place(parent, name, 'other')
    const path = this.#handles.path(parent, name)
    this.#open = { fd: openSync(path, CREATE, 0o600), path, entry }
    dentry.upper = 'other'
  }

  #makeSymlink(entry: TarEntry, parent: Dentry, name: ByteString): void {
    const dentry = this.#upper.place(parent, name, 'symlink')
    const path = this.#handles.path(parent, name)
    symlinkSync(toFsPath(entry.linkName), path)
    dentry.upper = 'symlink'
    dentry.upperTarget = entry.linkName
    this.#metadata.symlink(path, entry.name, entry)
  }

  /** A hard link has no metadata of its own, and never means what a symlink of its target's name points to. */
  #makeHardLink(entry: TarEntry, parent: Dentry, name: ByteString): void {
    const target = this.#tree.resolve(splitEntryName(entry.linkName, this.#options.limits), false)
    if (target.kind === undefined) throw linkError(entry, 'is not there')
    if (target.kind === 'directory') throw linkError(entry, 'is a directory')
    const place = this.#tree.child(parent, name)
    if (place === target) return
    for (let d = target.parent; d !== undefined; d = d.parent) {
      if (d === place) throw linkError(entry, 'is below the link')
    }
    if (target.upper === undefined && !this.#options.inPlace) {
      this.#copyUp(target)
      if (target.upper === undefined) return // a device that cannot be made here
    }
    const dentry = this.#upper.place(parent, name, target.kind)
    const targetPath = this.#handles.path(target.parent ?? this.#tree.root, target.name)
    linkSync(targetPath, this.#handles.path(parent, name)) // link(2) does not follow symlinks on Linux
    dentry.upper = target.kind
    dentry.upperTarget = target.target
  }

  #makeSpecial(entry: TarEntry, file: SpecialFile, parent: Dentry, name: ByteString): void {
    const dentry = this.#upper.place(parent, name, 'other')
    const path = this.#handles.path(parent, name)
    const reason = makeSpecialFile(this.#options.native, path, file)
    if (reason !== undefined) {
      dentry.explicit = false
      const what = file.type === 'fifo' ? 'fifo' : 'device'
      this.skipped.add(entry.name, { what, detail: describeSpecialFile(file), reason })
      return
    }
    dentry.upper = 'other'
    this.#metadata.node(path, entry.name, entry)
  }

  /** A hard link needs its target in the same layer. */
  #copyUp(dentry: Dentry): void {
    const lower = dentry.visibleLower
    const path = lower?.paths[0]
    if (dentry.parent === undefined || lower === undefined || path === undefined) return
    this.#upper.ensureDirectory(dentry.parent)
    const target = this.#handles.path(dentry.parent, dentry.name)
    const isCopied = copyFile({ path, stat: lower.stat }, target, dentry.path, {
      native: this.#options.native,
      metadata: this.#metadata,
      skipped: this.skipped,
      reflink: true,
    })
    if (!isCopied) return
    dentry.upper = lower.kind
    dentry.upperTarget = lower.target
  }
}

function linkError(entry: TarEntry, why: string): RootfsError {
  const name = printable(entry.name)
  return new RootfsError(
    'ERR_ROOTFS_LINK_TARGET',
    `cannot link ${name} to ${printable(entry.linkName)}: the target ${why}`,
    { entry: name },
  )
}
