import { createHash } from 'node:crypto'
import { decompress } from './decompress.ts'
import { RootfsError } from './errors.ts'
import { LayerWriter } from './layer-writer.ts'
import { DEFAULT_LIMITS, type Limits } from './limits.ts'
import type { Ownership } from './metadata.ts'
import type { NativeFs } from './native-fs.ts'
import type { SkippedItem } from './skipped.ts'
import { TarReader } from './tar-reader.ts'
import { explainWriteError } from './write-error.ts'

/** How {@link applyLayer} unpacks. */
export interface ApplyLayerOptions {
  /**
   * The layers below, base first. With whiteouts `overlay`, the layer is unpacked against them: parents
   * that are symlinks there are followed (inside the root), hard links to their files are copied up.
   */
  lowerDirs?: readonly string[]
  /** `preserve` the archive's owners (as root, or inside a user namespace), or `squash` them to the caller. */
  ownership: Ownership
  /** `overlay`: write a directory for overlayfs' lowerdir. `apply`: change the directory in place. */
  whiteouts: 'overlay' | 'apply'
  /** mknod and extended attributes. Without it, devices and attributes are skipped, and overlay whiteouts an error. */
  native?: NativeFs
  limits?: Partial<Limits>
  /** `sha256:…` of the uncompressed archive, from the image's configuration. */
  expectDiffId?: string
  signal?: AbortSignal
  onProgress?: (progress: LayerProgress) => void
}

/** How far {@link applyLayer} is. */
export interface LayerProgress {
  /** Bytes taken from the source, still compressed. */
  readBytes: number
  entries: number
}

/** What {@link applyLayer} did. */
export interface LayerResult {
  /** `sha256:…` of the whole uncompressed stream, padding and all. */
  diffId: string
  entries: number
  /** Bytes of file content. */
  bytes: number
  /** What could not be made on this host; at most a thousand items. */
  skipped: SkippedItem[]
  /** How many items were skipped altogether. */
  skippedTotal: number
}

/**
 * Unpack one image layer (a tar archive, possibly compressed with gzip or zstd) into `directory`, which is
 * made if it is not there. Nothing outside of it is ever written or changed, whatever the archive says.
 *
 * When it throws, the directory holds an unfinished tree that the caller must discard. Throws `RootfsError`,
 * the signal's reason when aborted, and the source's own errors.
 */
export async function applyLayer(
  source: AsyncIterable<Uint8Array>,
  directory: string,
  options: ApplyLayerOptions,
): Promise<LayerResult> {
  const { signal, onProgress, expectDiffId } = options
  signal?.throwIfAborted()
  const limits = { ...DEFAULT_LIMITS, ...options.limits }
  const writer = openWriter(directory, options, limits)
  try {
    const reader = new TarReader(writer, limits)
    const hash = createHash('sha256')
    let readBytes = 0
    const counted = count(source, (size) => {
      readBytes += size
    })
    for await (const chunk of decompress(counted)) {
      signal?.throwIfAborted()
      hash.update(chunk)
      reader.write(chunk)
      onProgress?.({ readBytes, entries: writer.entries })
    }
    reader.end()
    const diffId = `sha256:${hash.digest('hex')}`
    verifyDiffId(diffId, expectDiffId)
    writer.finish()
    const { entries, bytes, skipped } = writer
    return { diffId, entries, bytes, skipped: skipped.items, skippedTotal: skipped.total }
  } finally {
    writer.close()
  }
}

function openWriter(directory: string, options: ApplyLayerOptions, limits: Limits): LayerWriter {
  try {
    return new LayerWriter({
      directory,
      lowerDirs: options.lowerDirs ?? [],
      inPlace: options.whiteouts === 'apply',
      ownership: options.ownership,
      native: options.native,
      limits,
    })
  } catch (error) {
    throw explainWriteError(error)
  }
}

async function* count(
  source: AsyncIterable<Uint8Array>,
  onSize: (size: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    onSize(chunk.length)
    yield chunk
  }
}

function verifyDiffId(actual: string, expected: string | undefined): void {
  if (expected === undefined || expected === actual) return
  throw new RootfsError(
    'ERR_ROOTFS_DIFFID',
    `cannot use the layer: its content is ${actual}, but the image says ${expected}`,
    {
      hint: 'pull the image again; if that does not help, the image itself is wrong',
    },
  )
}
