import { mkdirSync } from 'node:fs'
import type { ByteString } from './byte-string.ts'
import { printable } from './byte-string.ts'
import type { Dentry, DentryKind } from './dentry.ts'
import type { DentryTree } from './dentry-tree.ts'
import type { DirectoryHandles } from './directory-handles.ts'
import { RootfsError } from './errors.ts'
import { type Metadata, type MetadataWriter, metadataOf } from './metadata.ts'
import { removeAt } from './remove-tree.ts'

/** A directory whose metadata is written when everything in it is done. */
interface PendingDirectory {
  meta: Metadata
  /** It was there before, and only its mode and times have to be put back. */
  touchedOnly: boolean
}

/** Parents that no layer names: what `mkdir -p` run by root would make, at the epoch. */
const IMPLICIT: Metadata = { mode: 0o755, uid: 0, gid: 0, mtime: 0 }

/** What {@link UpperTree} works with. */
export interface UpperTreeParts {
  tree: DentryTree
  handles: DirectoryHandles
  metadata: MetadataWriter
  /** The lower part is in the target itself: hiding means removing. */
  inPlace: boolean
}

/** The directories that a layer is written into, and the rules of what replaces, merges with and hides what. */
export class UpperTree {
  readonly #tree: DentryTree
  readonly #handles: DirectoryHandles
  readonly #metadata: MetadataWriter
  readonly #inPlace: boolean
  readonly #pending = new Map<Dentry, PendingDirectory>()

  constructor(parts: UpperTreeParts) {
    this.#tree = parts.tree
    this.#handles = parts.handles
    this.#metadata = parts.metadata
    this.#inPlace = parts.inPlace
    if (!parts.inPlace) this.#adopt(parts.tree.root)
  }

  /** Make sure that a dentry is a directory of this layer, copied up or made. Throws `ERR_ROOTFS_NOT_DIRECTORY`. */
  ensureDirectory(directory: Dentry): void {
    if (directory.upper === 'directory') return
    if (directory.kind !== undefined && directory.kind !== 'directory')
      throw notDirectory(directory)
    if (directory.parent !== undefined) this.ensureDirectory(directory.parent)
    const isThere = this.#inPlace && directory.visibleLower !== undefined
    if (!isThere) mkdirSync(this.#pathOf(directory), 0o700)
    this.#adopt(directory)
  }

  /** Give an entry's metadata to a directory of this layer, at the end. */
  setMetadata(directory: Dentry, meta: Metadata): void {
    directory.explicit = true
    this.#pending.set(directory, { meta, touchedOnly: false })
  }

  /**
   * Make room for an entry: its parent becomes a directory of this layer, and what stood in its place is
   * gone, unless both are directories.
   */
  place(parent: Dentry, name: ByteString, kind: DentryKind): Dentry {
    this.ensureDirectory(parent)
    const dentry = this.#tree.child(parent, name)
    if (kind === 'directory' && dentry.kind === 'directory') {
      this.ensureDirectory(dentry)
      return dentry
    }
    this.#removeHere(dentry)
    if (dentry.lower !== undefined) conceal(dentry)
    if (kind === 'directory') this.ensureDirectory(dentry)
    dentry.explicit = true
    return dentry
  }

  /** A whiteout: hide what the lower layers have at `dentry`; what this layer put there stays. */
  hide(dentry: Dentry): void {
    if (dentry.kind === undefined) return
    if (dentry.parent !== undefined && dentry.visibleLower !== undefined) {
      this.ensureDirectory(dentry.parent)
    }
    this.#hide(dentry)
  }

  /** An opaque whiteout: hide all that the lower layers have in `directory`. */
  hideContent(directory: Dentry): void {
    if (directory.kind !== 'directory') return
    this.ensureDirectory(directory)
    this.#hideContent(directory)
  }

  /** Write the metadata of directories, the deepest first. */
  finish(unlocked: ReadonlySet<Dentry>): void {
    for (const directory of unlocked) {
      if (directory.upper === undefined && directory.visibleLower !== undefined)
        this.#adopt(directory)
    }
    const deepestFirst = [...this.#pending].sort(([a], [b]) => b.depth - a.depth)
    for (const [directory, { meta, touchedOnly }] of deepestFirst) {
      const path = this.#pathOf(directory)
      const fd = this.#handles.fd(directory)
      if (touchedOnly) this.#metadata.touched(fd, meta)
      else this.#metadata.directory(fd, path, directory.path, meta)
    }
  }

  #hide(dentry: Dentry): void {
    if (!isOwned(dentry)) this.#removeHere(dentry)
    else if (dentry.upper === 'directory') {
      this.#hideContent(dentry)
      if (!dentry.explicit) this.#pending.set(dentry, { meta: IMPLICIT, touchedOnly: false })
    }
    conceal(dentry)
  }

  #hideContent(directory: Dentry): void {
    const names = new Set(directory.children.keys())
    if (this.#inPlace) for (const name of this.#tree.lowerNames(directory)) names.add(name)
    for (const name of names) this.#hide(this.#tree.child(directory, name))
    conceal(directory)
  }

  /** Remove from the target what this layer, or in place a lower one, has put there. */
  #removeHere(dentry: Dentry): void {
    const isHere = this.#inPlace ? dentry.kind !== undefined : dentry.upper !== undefined
    if (!isHere || dentry.parent === undefined) return
    this.#handles.forget(dentry)
    removeAt(this.#handles.fd(dentry.parent), dentry.name)
    this.#drop(dentry)
  }

  #drop(dentry: Dentry): void {
    dentry.upper = undefined
    dentry.upperTarget = undefined
    dentry.explicit = false
    this.#pending.delete(dentry)
    for (const child of dentry.children.values()) this.#drop(child)
  }

  /** Note a directory that now exists in the target; until an entry says otherwise it keeps its lower metadata. */
  #adopt(directory: Dentry): void {
    const lower = directory.visibleLower
    directory.upper = 'directory'
    const meta = lower === undefined ? IMPLICIT : metadataOf(lower.stat)
    this.#pending.set(directory, { meta, touchedOnly: this.#inPlace && lower !== undefined })
  }

  #pathOf(directory: Dentry): string | Buffer {
    return directory.parent === undefined
      ? `/proc/self/fd/${this.#handles.rootFd}/.`
      : this.#handles.path(directory.parent, directory.name)
  }
}

/** Whether this layer has an entry at or below `dentry`. */
function isOwned(dentry: Dentry): boolean {
  if (dentry.upper === undefined) return false
  return dentry.explicit || [...dentry.children.values()].some(isOwned)
}

/** What is below no longer shows, for names that are known and for those that will be. */
function conceal(dentry: Dentry): void {
  dentry.hidden = true
  for (const child of dentry.children.values()) conceal(child)
}

function notDirectory(dentry: Dentry): RootfsError {
  const path = printable(dentry.path)
  return new RootfsError(
    'ERR_ROOTFS_NOT_DIRECTORY',
    `cannot unpack below ${path}: it is not a directory`,
    {
      entry: path,
    },
  )
}
