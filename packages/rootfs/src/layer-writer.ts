import { chmodSync, closeSync, fstatSync, mkdirSync, writeSync } from 'node:fs'
import { encodePath, toFsPath } from './byte-string.ts'
import { DentryTree } from './dentry-tree.ts'
import { DirectoryHandles } from './directory-handles.ts'
import { EntryMaker, type OpenFile } from './entry-maker.ts'
import { splitEntryName } from './entry-name.ts'
import { InPlaceLower } from './in-place-lower.ts'
import { enforceLimit, type Limits } from './limits.ts'
import { MergedLower } from './merged-lower.ts'
import { MetadataWriter, type Ownership } from './metadata.ts'
import type { NativeFs } from './native-fs.ts'
import { writeWhiteouts } from './overlay-whiteouts.ts'
import { SkippedItems } from './skipped.ts'
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
  readonly #maker: EntryMaker
  #open: OpenFile | undefined

  constructor(options: LayerWriterOptions) {
    const { directory, lowerDirs, inPlace, ownership, native, limits } = options
    this.#options = options
    const merged = inPlace ? undefined : new MergedLower(lowerDirs, native)
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    this.#handles = new DirectoryHandles(toFsPath(encodePath(directory)))
    // A directory inherits setgid from its parent and hands it down; nothing may inherit a group here.
    if (!inPlace) chmodSync(`/proc/self/fd/${this.#handles.rootFd}`, 0o700)
    const lower = merged ?? new InPlaceLower(this.#handles)
    this.#inPlaceLower = lower instanceof InPlaceLower ? lower : undefined
    this.#tree = new DentryTree(lower, limits)
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
    this.#maker = new EntryMaker({
      tree: this.#tree,
      upper: this.#upper,
      handles: this.#handles,
      metadata: this.#metadata,
      skipped: this.skipped,
      native,
      limits,
      inPlace,
    })
  }

  entry(entry: TarEntry): void {
    const { limits } = this.#options
    this.entries++
    this.bytes += entry.size
    enforceLimit(limits, 'entries', this.entries)
    enforceLimit(limits, 'bytes', this.bytes, entry.name)
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
      this.#maker.makeRoot(entry)
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
    else if (meaning.meaning === 'entry') this.#open = this.#maker.make(entry, parent, name)
    else if (parent.kind === 'directory') this.#upper.hide(this.#tree.child(parent, meaning.target))
  }
}
