import { gzipSync } from 'node:zlib'
import { digestOf } from '../image/digest.ts'
import { MEDIA_TYPES } from '../image/media-types.ts'
import { type TarEntry, writeTar } from './tar-writer.ts'

/** What an entry of a layer may have besides its kind. */
export interface EntryAttributes {
  mode?: number
  uid?: number
  gid?: number
  /** Seconds since the epoch. Default: 2020-01-01. */
  mtime?: number
  xattrs?: Record<string, string | Uint8Array>
}

/** An entry of a layer; made by `file`, `directory`, `symlink`, … */
export type LayerEntry = EntryAttributes &
  (
    | { kind: 'file'; content: Uint8Array | string }
    | { kind: 'directory' | 'fifo' }
    | { kind: 'symlink' | 'hardlink'; target: string }
    | { kind: 'character' | 'block'; major: number; minor: number }
    | { kind: 'whiteout' | 'opaque' }
  )

/**
 * A layer as a literal: path to entry, in the order of the archive.
 *
 * A string or bytes stand for a file. Parent directories that are not named are added before.
 */
export type LayerTree = Record<string, LayerEntry | string | Uint8Array>

/** A layer, ready to be served. */
export interface TestLayer {
  mediaType: string
  /** The uncompressed archive. */
  tar: Buffer
  /** What is served: compressed, or the archive itself. */
  blob: Buffer
  /** Digest of `blob`. */
  digest: string
  /** Size of `blob` in bytes. */
  size: number
  /** Digest of `tar`. */
  diffId: string
}

/** Options of {@link makeLayer}. */
export interface LayerOptions {
  /** Default `gzip`. */
  compression?: 'gzip' | 'none'
  /** Whether to add parent directories that the tree does not name. Default true. */
  parents?: boolean
}

const DEFAULT_MTIME = Date.UTC(2020, 0, 1) / 1000

/** A regular file. Default mode 0644. */
export function file(content: Uint8Array | string, attributes: EntryAttributes = {}): LayerEntry {
  return { kind: 'file', content, ...attributes }
}

/** A directory. Default mode 0755. */
export function directory(attributes: EntryAttributes = {}): LayerEntry {
  return { kind: 'directory', ...attributes }
}

/** A symbolic link. */
export function symlink(target: string, attributes: EntryAttributes = {}): LayerEntry {
  return { kind: 'symlink', target, ...attributes }
}

/** Another name for a file of the image, given by its path from the root. */
export function hardlink(target: string, attributes: EntryAttributes = {}): LayerEntry {
  return { kind: 'hardlink', target, ...attributes }
}

/** Removes what lower layers have at this path. */
export function whiteout(): LayerEntry {
  return { kind: 'whiteout' }
}

/** At the path of a directory: hides all that lower layers have in it. */
export function opaque(): LayerEntry {
  return { kind: 'opaque' }
}

/** A named pipe. */
export function fifo(attributes: EntryAttributes = {}): LayerEntry {
  return { kind: 'fifo', ...attributes }
}

/** A character device. */
export function character(
  major: number,
  minor: number,
  attributes: EntryAttributes = {},
): LayerEntry {
  return { kind: 'character', major, minor, ...attributes }
}

/** Make a layer of a tree; the same tree gives the same bytes. */
export function makeLayer(tree: LayerTree, options: LayerOptions = {}): TestLayer {
  const { compression = 'gzip', parents = true } = options
  return layerFromTar(writeTar(entriesOf(tree, parents)), { compression })
}

/** Make a layer of an archive that exists. */
export function layerFromTar(tar: Buffer, { compression = 'gzip' }: LayerOptions = {}): TestLayer {
  const blob = compression === 'gzip' ? gzipSync(tar, { level: 6 }) : tar
  return {
    mediaType: compression === 'gzip' ? MEDIA_TYPES.ociLayerGzip : MEDIA_TYPES.ociLayer,
    tar,
    blob,
    digest: digestOf(blob),
    size: blob.length,
    diffId: digestOf(tar),
  }
}

function* entriesOf(tree: LayerTree, parents: boolean): Generator<TarEntry> {
  const made = new Set<string>()
  for (const [path, value] of Object.entries(tree)) {
    const clean = path.replace(/^\.?\/+/, '').replace(/\/+$/, '')
    const entry = typeof value === 'string' || value instanceof Uint8Array ? file(value) : value
    if (parents) yield* missingParents(entry.kind === 'opaque' ? `${clean}/` : clean, made)
    if (entry.kind === 'directory') made.add(clean)
    yield toTarEntry(clean, entry)
  }
}

function* missingParents(path: string, made: Set<string>): Generator<TarEntry> {
  for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
    const parent = path.slice(0, slash)
    if (made.has(parent)) continue
    made.add(parent)
    yield toTarEntry(parent, directory())
  }
}

function toTarEntry(path: string, entry: LayerEntry): TarEntry {
  const { mode, uid = 0, gid = 0, mtime = DEFAULT_MTIME, xattrs } = entry
  const common = { uid, gid, mtime, ...(xattrs === undefined ? {} : { xattrs }) }
  switch (entry.kind) {
    case 'file':
      return {
        ...common,
        path,
        kind: 'file',
        mode: mode ?? 0o644,
        content: Buffer.from(entry.content),
      }
    case 'directory':
      return { ...common, path: `${path}/`, kind: 'directory', mode: mode ?? 0o755 }
    case 'symlink':
      return { ...common, path, kind: 'symlink', mode: mode ?? 0o777, target: entry.target }
    case 'hardlink':
      return { ...common, path, kind: 'hardlink', mode: mode ?? 0o644, target: entry.target }
    case 'fifo':
      return { ...common, path, kind: 'fifo', mode: mode ?? 0o644 }
    case 'character':
    case 'block': {
      const { kind, major, minor } = entry
      return { ...common, path, kind, mode: mode ?? 0o644, major, minor }
    }
    case 'whiteout':
      return {
        ...common,
        path: inParent(path, (name) => `.wh.${name}`),
        kind: 'file',
        mode: mode ?? 0o600,
      }
    case 'opaque':
      return { ...common, path: `${path}/.wh..wh..opq`, kind: 'file', mode: mode ?? 0o600 }
  }
}

function inParent(path: string, rename: (name: string) => string): string {
  const slash = path.lastIndexOf('/') + 1
  return `${path.slice(0, slash)}${rename(path.slice(slash))}`
}
