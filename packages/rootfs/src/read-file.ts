import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { toFsPath } from './byte-string.ts'
import { RootfsError } from './errors.ts'
import { lookUp, openMergedTree } from './merged-tree.ts'
import type { NativeFs } from './native-fs.ts'

/** Options of {@link readFileFromLayers}. */
export interface ReadFileOptions {
  /** A larger file is `ERR_ROOTFS_LIMIT`. */
  maxBytes?: number
  /** Needed only for layers of other tools, which may say "opaque" by an extended attribute. */
  native?: NativeFs
}

const DEFAULT_MAX_BYTES = 2 ** 20

/**
 * Read one regular file of an image from its unpacked layers (base first), as a process inside would see
 * it: upper layers win, whiteouts count, symlinks are followed inside the layers and never out of them.
 * Undefined when there is no such regular file. Throws `ERR_ROOTFS_LIMIT` and `ERR_ROOTFS_READ`.
 */
export function readFileFromLayers(
  lowerDirs: readonly string[],
  path: string,
  options: ReadFileOptions = {},
): Buffer | undefined {
  const { maxBytes = DEFAULT_MAX_BYTES, native } = options
  try {
    const found = lookUp(openMergedTree(lowerDirs, native), path).visibleLower
    const place = found?.stat.isFile() === true ? found.paths[0] : undefined
    return place === undefined ? undefined : readRegularFile(toFsPath(place), path, maxBytes)
  } catch (cause) {
    if (cause instanceof RootfsError) throw cause
    const message = cause instanceof Error ? cause.message : String(cause)
    throw new RootfsError('ERR_ROOTFS_READ', `cannot read ${path} from the layers: ${message}`, {
      path,
      cause,
    })
  }
}

function readRegularFile(place: string | Buffer, path: string, maxBytes: number): Buffer {
  // O_NONBLOCK: should it have become a FIFO meanwhile, opening it must not wait for a writer.
  const fd = openSync(place, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const { size } = fstatSync(fd)
    if (size > maxBytes) {
      throw new RootfsError(
        'ERR_ROOTFS_LIMIT',
        `cannot read ${path}: it has ${size} bytes, and maxBytes is ${maxBytes}`,
        {
          path,
          limit: 'maxBytes',
        },
      )
    }
    const content = Buffer.alloc(size)
    let at = 0
    while (at < size) {
      const read = readSync(fd, content, at, size - at, at)
      if (read === 0) break
      at += read
    }
    return content.subarray(0, at)
  } finally {
    closeSync(fd)
  }
}
