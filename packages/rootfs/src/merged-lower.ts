import { lstatSync, readdirSync, readlinkSync, realpathSync, type Stats } from 'node:fs'
import { type ByteString, toByteString, toFsPath } from './byte-string.ts'
import type { Dentry, DentryKind, LowerEntry } from './dentry.ts'
import type { LowerSource } from './dentry-tree.ts'
import { errnoOf, RootfsError } from './errors.ts'
import type { NativeFs } from './native-fs.ts'

/** The name that overlayfs gives its marks when it is mounted with `userxattr` (kernel docs, overlayfs.rst). */
export const OPAQUE_XATTR = 'user.overlay.opaque'

/** Whether this is what overlayfs takes for a deleted name: a character device 0:0. */
export function isOverlayWhiteout(stat: Stats): boolean {
  return stat.isCharacterDevice() && stat.rdev === 0
}

/** The kind of a file for finding paths. */
export function kindOf(stat: Stats): DentryKind {
  if (stat.isDirectory()) return 'directory'
  return stat.isSymbolicLink() ? 'symlink' : 'other'
}

/**
 * The read-only view of layers stacked as overlayfs would stack them: whiteouts delete, opaque
 * directories stop the merge, a file over a directory hides it.
 */
export class MergedLower implements LowerSource {
  readonly #layers: ByteString[]
  readonly #native: NativeFs | undefined

  /** `lowerDirs` are given base first. Opaque directories need `native.getxattr`. */
  constructor(lowerDirs: readonly string[], native: NativeFs | undefined) {
    this.#layers = lowerDirs.map(realDirectory).toReversed()
    this.#native = native
  }

  root(): LowerEntry | undefined {
    return this.#merge(this.#layers)
  }

  find(directory: Dentry, name: ByteString): LowerEntry | undefined {
    return this.#merge((directory.lower?.paths ?? []).map((path) => `${path}/${name}`))
  }

  names(directory: Dentry): ByteString[] {
    const names = new Map<ByteString, boolean>()
    for (const path of directory.lower?.paths ?? []) {
      for (const item of readdirSync(toFsPath(path), { withFileTypes: true, encoding: 'buffer' })) {
        const name = toByteString(item.name)
        if (names.has(name)) continue
        const isWhiteout =
          item.isCharacterDevice() && isOverlayWhiteout(lstatSync(toFsPath(`${path}/${name}`)))
        names.set(name, !isWhiteout)
      }
    }
    return [...names].filter(([, isThere]) => isThere).map(([name]) => name)
  }

  /** What overlayfs shows for the same name in several layers, topmost first. */
  #merge(candidates: ByteString[]): LowerEntry | undefined {
    let merged: LowerEntry | undefined
    for (const path of candidates) {
      const stat = lstatSync(toFsPath(path), { throwIfNoEntry: false })
      if (stat === undefined) continue
      const kind = kindOf(stat)
      if (kind !== 'directory') return merged ?? this.#leaf(path, stat, kind)
      if (merged === undefined) merged = { kind, stat, target: undefined, paths: [path] }
      else merged.paths.push(path)
      if (this.#isOpaque(path)) break
    }
    return merged
  }

  #leaf(path: ByteString, stat: Stats, kind: DentryKind): LowerEntry | undefined {
    if (isOverlayWhiteout(stat)) return undefined
    const target =
      kind === 'symlink'
        ? toByteString(readlinkSync(toFsPath(path), { encoding: 'buffer' }))
        : undefined
    return { kind, stat, target, paths: [path] }
  }

  #isOpaque(path: ByteString): boolean {
    try {
      return this.#native?.getxattr(toFsPath(path), OPAQUE_XATTR)?.toString() === 'y'
    } catch (error) {
      const code = errnoOf(error)
      if (code === 'ENOTSUP' || code === 'EOPNOTSUPP') return false // no attributes on this file system
      throw error
    }
  }
}

/** A layer that is missing must not pass for an empty one. */
function realDirectory(path: string): ByteString {
  try {
    const real = realpathSync(path, { encoding: 'buffer' })
    if (!lstatSync(real).isDirectory()) throw new Error('it is not a directory')
    return toByteString(real)
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    throw new RootfsError('ERR_ROOTFS_READ', `cannot use the layer ${path}: ${message}`, {
      path,
      cause,
    })
  }
}
