import { linkSync, mkdirSync, readdirSync, type Stats } from 'node:fs'
import { type ByteString, encodePath, toFsPath } from './byte-string.ts'
import { copyFile, readXattrs } from './copy-file.ts'
import type { Dentry } from './dentry.ts'
import type { DentryTree } from './dentry-tree.ts'
import { DirectoryHandles } from './directory-handles.ts'
import { RootfsError } from './errors.ts'
import { openMergedTree } from './merged-tree.ts'
import { MetadataWriter, metadataOf, type Ownership } from './metadata.ts'
import type { NativeFs } from './native-fs.ts'
import { type SkippedItem, SkippedItems } from './skipped.ts'
import { explainWriteError } from './write-error.ts'

/** How {@link flattenLayers} copies. */
export interface FlattenOptions {
  native?: NativeFs
  /** Share blocks with the layers where the file system can (btrfs, XFS, bcachefs). Default true. */
  reflink?: boolean
  /** Default `preserve`: the owners that the unpacked layers have. */
  ownership?: Ownership
  signal?: AbortSignal
}

/** What {@link flattenLayers} made. */
export interface FlattenResult {
  entries: number
  /** Bytes of file content, hard links counted once. */
  bytes: number
  skipped: SkippedItem[]
  skippedTotal: number
}

/**
 * Make one directory tree out of unpacked layers (base first): what an overlay mount of them would show,
 * for hosts where none can be mounted. Hard links within a layer stay hard links. `target` must be empty
 * or missing. When it throws, `target` holds an unfinished tree. Throws `RootfsError`, or the signal's reason.
 */
export function flattenLayers(
  lowerDirs: readonly string[],
  target: string,
  options: FlattenOptions = {},
): FlattenResult {
  mkdirSync(target, { recursive: true, mode: 0o700 })
  if (readdirSync(target).length > 0) {
    throw new RootfsError(
      'ERR_ROOTFS_WRITE',
      `cannot flatten layers into ${target}: it is not empty`,
      {
        path: target,
      },
    )
  }
  const handles = new DirectoryHandles(toFsPath(encodePath(target)))
  try {
    return new Flattening(openMergedTree(lowerDirs, options.native), handles, options).run()
  } catch (error) {
    throw explainWriteError(error)
  } finally {
    handles.close()
  }
}

/** One run of {@link flattenLayers}. */
class Flattening {
  readonly #tree: DentryTree
  readonly #handles: DirectoryHandles
  readonly #options: FlattenOptions
  readonly #skipped = new SkippedItems()
  readonly #metadata: MetadataWriter
  /** Where the first name of an inode with several names was put. */
  readonly #inodes = new Map<string, Dentry>()
  #entries = 0
  #bytes = 0

  constructor(tree: DentryTree, handles: DirectoryHandles, options: FlattenOptions) {
    this.#tree = tree
    this.#handles = handles
    this.#options = options
    this.#metadata = new MetadataWriter({
      ownership: options.ownership ?? 'preserve',
      native: options.native,
      skipped: this.#skipped,
      freshTarget: false,
    })
  }

  run(): FlattenResult {
    this.#fill(this.#tree.root)
    return {
      entries: this.#entries,
      bytes: this.#bytes,
      skipped: this.#skipped.items,
      skippedTotal: this.#skipped.total,
    }
  }

  #fill(directory: Dentry): void {
    this.#options.signal?.throwIfAborted()
    for (const name of this.#tree.lowerNames(directory)) {
      const child = this.#tree.child(directory, name)
      if (child.lower === undefined) continue
      this.#entries++
      if (child.lower.kind === 'directory') {
        mkdirSync(this.#handles.path(directory, name), 0o700)
        this.#fill(child)
      } else this.#copy(directory, child)
    }
    this.#finishDirectory(directory)
    directory.children.clear()
  }

  #copy(directory: Dentry, child: Dentry): void {
    const { lower, name } = child
    const path = lower?.paths[0]
    if (lower === undefined || path === undefined) return
    if (this.#link(directory, child, lower.stat)) return
    const isCopied = copyFile(
      { path, stat: lower.stat },
      this.#handles.path(directory, name),
      child.path,
      {
        native: this.#options.native,
        metadata: this.#metadata,
        skipped: this.#skipped,
        reflink: this.#options.reflink ?? true,
      },
    )
    if (!isCopied) return
    if (lower.stat.isFile()) this.#bytes += lower.stat.size
    if (lower.stat.nlink > 1) this.#inodes.set(inodeKey(lower.stat), child)
  }

  #link(directory: Dentry, child: Dentry, stat: Stats): boolean {
    const first = stat.nlink > 1 ? this.#inodes.get(inodeKey(stat)) : undefined
    if (first?.parent === undefined) return false
    const existing = this.#handles.path(first.parent, first.name)
    linkSync(existing, this.#handles.path(directory, child.name))
    return true
  }

  #finishDirectory(directory: Dentry): void {
    const lower = directory.lower
    const top: ByteString | undefined = lower?.paths[0]
    if (lower === undefined || top === undefined) return
    const xattrs = readXattrs(toFsPath(top), this.#options.native)
    const path =
      directory.parent === undefined
        ? `/proc/self/fd/${this.#handles.rootFd}/.`
        : this.#handles.path(directory.parent, directory.name)
    const fd = this.#handles.fd(directory)
    this.#metadata.directory(fd, path, directory.path, { ...metadataOf(lower.stat), xattrs })
  }
}

function inodeKey(stat: Stats): string {
  return `${stat.dev}:${stat.ino}`
}
