import { constants, linkSync, openSync, symlinkSync } from 'node:fs'
import { type ByteString, printable, toFsPath } from './byte-string.ts'
import { copyFile } from './copy-file.ts'
import type { Dentry } from './dentry.ts'
import type { DentryTree } from './dentry-tree.ts'
import type { DirectoryHandles } from './directory-handles.ts'
import { splitEntryName } from './entry-name.ts'
import { RootfsError } from './errors.ts'
import type { Limits } from './limits.ts'
import type { MetadataWriter } from './metadata.ts'
import type { NativeFs } from './native-fs.ts'
import type { SkippedItems } from './skipped.ts'
import { describeSpecialFile, makeSpecialFile, type SpecialFile } from './special-file.ts'
import type { TarEntry } from './tar-entry.ts'
import type { UpperTree } from './upper-tree.ts'

/** What {@link EntryMaker} works with. */
export interface EntryMakerParts {
  tree: DentryTree
  upper: UpperTree
  handles: DirectoryHandles
  metadata: MetadataWriter
  skipped: SkippedItems
  native: NativeFs | undefined
  limits: Limits
  inPlace: boolean
}

/** A file whose content follows. */
export interface OpenFile {
  fd: number
  path: string | Buffer
  entry: TarEntry
}

const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW

/** Makes what entries describe, each in a directory that was resolved already. */
export class EntryMaker {
  readonly #parts: EntryMakerParts
  /** Devices and FIFOs that could not be made: a hard link to one is skipped too. */
  readonly #missing = new Set<Dentry>()

  constructor(parts: EntryMakerParts) {
    this.#parts = parts
  }

  /** The entry of the root directory itself. Throws `ERR_ROOTFS_ENTRY` when it is anything else (CVE-2021-29136). */
  makeRoot(entry: TarEntry): void {
    const { tree, upper } = this.#parts
    if (entry.type !== 'directory') {
      const name = printable(entry.name)
      const message = `cannot unpack ${name}: the root can only be a directory`
      throw new RootfsError('ERR_ROOTFS_ENTRY', message, { entry: name })
    }
    upper.ensureDirectory(tree.root)
    upper.setMetadata(tree.root, entry)
  }

  /** Make `name` in `parent`. Returns the file to write to, if the entry has content. */
  make(entry: TarEntry, parent: Dentry, name: ByteString): OpenFile | undefined {
    const { upper, tree } = this.#parts
    if (this.#missing.size > 0) this.#missing.delete(tree.child(parent, name))
    switch (entry.type) {
      case 'file':
        return this.#makeFile(entry, parent, name)
      case 'directory':
        upper.setMetadata(upper.place(parent, name, 'directory'), entry)
        return undefined
      case 'symlink':
        this.#makeSymlink(entry, parent, name)
        return undefined
      case 'hardlink':
        this.#makeHardLink(entry, parent, name)
        return undefined
      default:
        this.#makeSpecial(entry, { ...entry, type: entry.type }, parent, name)
        return undefined
    }
  }

  #makeFile(entry: TarEntry, parent: Dentry, name: ByteString): OpenFile {
    const dentry = this.#parts.upper.place(parent, name, 'other')
    const path = this.#parts.handles.path(parent, name)
    const fd = openSync(path, CREATE, 0o600)
    dentry.upper = 'other'
    return { fd, path, entry }
  }

  #makeSymlink(entry: TarEntry, parent: Dentry, name: ByteString): void {
    const { upper, handles, metadata } = this.#parts
    const dentry = upper.place(parent, name, 'symlink')
    const path = handles.path(parent, name)
    symlinkSync(toFsPath(entry.linkName), path)
    dentry.upper = 'symlink'
    dentry.upperTarget = entry.linkName
    metadata.symlink(path, entry.name, entry)
  }

  /** A hard link has no metadata of its own, and never means what a symlink of its target's name points to. */
  #makeHardLink(entry: TarEntry, parent: Dentry, name: ByteString): void {
    const { tree, upper, handles, limits, skipped } = this.#parts
    const target = tree.resolve(splitEntryName(entry.linkName, limits), false)
    const place = tree.child(parent, name)
    this.#checkLink(entry, place, target)
    if (place === target) return
    if (target.upper === undefined && !this.#parts.inPlace) this.#copyUp(target)
    if (this.#missing.has(target)) {
      skipped.add(entry.name, {
        what: 'device',
        detail: 'hard link',
        reason: 'its target was skipped',
      })
      return
    }
    const dentry = upper.place(parent, name, target.kind ?? 'other')
    const targetPath = handles.path(target.parent ?? tree.root, target.name)
    linkSync(targetPath, handles.path(parent, name)) // link(2) does not follow symlinks on Linux
    dentry.upper = target.kind
    dentry.upperTarget = target.target
  }

  #checkLink(entry: TarEntry, place: Dentry, target: Dentry): void {
    if (this.#missing.has(target)) return
    if (target.kind === undefined) throw linkError(entry, 'is not there')
    if (target.kind === 'directory') throw linkError(entry, 'is a directory')
    for (let above = target.parent; above !== undefined; above = above.parent) {
      if (above === place) throw linkError(entry, 'is below the link')
    }
  }

  #makeSpecial(entry: TarEntry, file: SpecialFile, parent: Dentry, name: ByteString): void {
    const { upper, handles, metadata, native, skipped } = this.#parts
    const dentry = upper.place(parent, name, 'other')
    const path = handles.path(parent, name)
    const reason = makeSpecialFile(native, path, file)
    if (reason === undefined) {
      dentry.upper = 'other'
      metadata.node(path, entry.name, entry)
      return
    }
    dentry.explicit = false
    this.#missing.add(dentry)
    const what = file.type === 'fifo' ? 'fifo' : 'device'
    skipped.add(entry.name, { what, detail: describeSpecialFile(file), reason })
  }

  /** A hard link needs its target in the same layer. */
  #copyUp(dentry: Dentry): void {
    const { upper, handles, metadata, native, skipped } = this.#parts
    const lower = dentry.visibleLower
    const path = lower?.paths[0]
    if (dentry.parent === undefined || lower === undefined || path === undefined) return
    upper.ensureDirectory(dentry.parent)
    const target = handles.path(dentry.parent, dentry.name)
    const context = { native, metadata, skipped, reflink: true }
    if (copyFile({ path, stat: lower.stat }, target, dentry.path, context)) {
      dentry.upper = lower.kind
      dentry.upperTarget = lower.target
    } else this.#missing.add(dentry)
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
