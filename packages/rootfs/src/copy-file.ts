import { constants, copyFileSync, readlinkSync, type Stats, symlinkSync } from 'node:fs'
import { type ByteString, toFsPath } from './byte-string.ts'
import { errnoOf } from './errors.ts'
import { type MetadataWriter, metadataOf } from './metadata.ts'
import type { NativeFs } from './native-fs.ts'
import type { SkippedItems } from './skipped.ts'
import { describeSpecialFile, makeSpecialFile, type SpecialFile } from './special-file.ts'

/** What {@link copyFile} needs beside the two paths. */
export interface CopyContext {
  native: NativeFs | undefined
  metadata: MetadataWriter
  skipped: SkippedItems
  /** Share the blocks where the file system can (FICLONE), else copy. */
  reflink: boolean
}

/** A file of a lower layer: never a directory. */
export interface CopySource {
  path: ByteString
  stat: Stats
}

/**
 * Copy one file, symlink, device or FIFO with its metadata to a path where nothing is.
 * Returns false when it was skipped. Throws the system's error.
 */
export function copyFile(
  source: CopySource,
  target: string | Buffer,
  entry: ByteString,
  context: CopyContext,
): boolean {
  const from = toFsPath(source.path)
  const meta = { ...metadataOf(source.stat), xattrs: readXattrs(from, context.native) }
  if (source.stat.isSymbolicLink()) {
    symlinkSync(readlinkSync(from, { encoding: 'buffer' }), target)
    context.metadata.symlink(target, entry, meta)
    return true
  }
  if (source.stat.isFile()) {
    const clone = context.reflink ? constants.COPYFILE_FICLONE : 0
    copyFileSync(from, target, constants.COPYFILE_EXCL | clone)
  } else {
    const special = specialFileOf(source.stat)
    const reason =
      special === undefined
        ? 'sockets are not copied'
        : makeSpecialFile(context.native, target, special)
    if (reason !== undefined) {
      const detail = special === undefined ? 'socket' : describeSpecialFile(special)
      context.skipped.add(entry, {
        what: special?.type === 'fifo' ? 'fifo' : 'device',
        detail,
        reason,
      })
      return false
    }
  }
  context.metadata.node(target, entry, meta)
  return true
}

/** The attributes worth copying; undefined when there are none, or none can be read. */
export function readXattrs(
  path: string | Buffer,
  native: NativeFs | undefined,
): Map<string, Buffer> | undefined {
  if (native === undefined) return undefined
  const xattrs = new Map<string, Buffer>()
  try {
    for (const name of native.listxattr?.(path) ?? ['security.capability']) {
      if (!isCopied(name)) continue
      const value = native.getxattr(path, name)
      if (value !== undefined) xattrs.set(name, value)
    }
  } catch (error) {
    const code = errnoOf(error)
    if (code !== 'ENOTSUP' && code !== 'EOPNOTSUPP' && code !== 'EPERM') throw error
  }
  return xattrs.size === 0 ? undefined : xattrs
}

/** Overlayfs' own marks belong to the layer, not to the file; escaped ones are the image's. */
function isCopied(name: string): boolean {
  if (name === 'security.selinux') return false
  const isMark = name.startsWith('user.overlay.') || name.startsWith('trusted.overlay.')
  return !isMark || name.includes('.overlay.overlay.')
}

function specialFileOf(stat: Stats): SpecialFile | undefined {
  const deviceMajor = Math.floor(stat.rdev / 256) % 4096
  const deviceMinor = (stat.rdev % 256) + Math.floor(stat.rdev / 0x100000) * 256
  if (stat.isFIFO()) return { type: 'fifo', deviceMajor: 0, deviceMinor: 0 }
  if (stat.isBlockDevice()) return { type: 'block-device', deviceMajor, deviceMinor }
  if (stat.isCharacterDevice()) return { type: 'character-device', deviceMajor, deviceMinor }
  return undefined
}
