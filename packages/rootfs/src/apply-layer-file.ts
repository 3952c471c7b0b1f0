import { createReadStream } from 'node:fs'
import {
  type ApplyLayerOptions,
  applyLayer,
  type LayerProgress,
  type LayerResult,
} from './apply-layer.ts'
import { CHUNK_SIZE } from './decompress.ts'
import { errnoOf, RootfsError } from './errors.ts'

/** One layer to unpack. But for the last two members it is plain data, so that it can be sent to another process. */
export interface ApplyJob {
  /** The blob's file. */
  path: string
  /** The directory to fill; it exists and is empty. */
  directory: string
  /** The unpacked layers below, base first. */
  lowerDirs: string[]
  expectDiffId: string
  signal?: AbortSignal
  onProgress?: (progress: LayerProgress) => void
}

/** Do an {@link ApplyJob} in this process, for overlayfs. Throws as {@link applyLayer} does, and `ERR_ROOTFS_READ`. */
export async function applyLayerFile(
  job: ApplyJob,
  options: Pick<ApplyLayerOptions, 'ownership' | 'native' | 'limits'>,
): Promise<LayerResult> {
  const { path, directory, ...rest } = job
  return applyLayer(readBlob(path), directory, { ...rest, ...options, whiteouts: 'overlay' })
}

async function* readBlob(path: string): AsyncGenerator<Buffer> {
  try {
    yield* createReadStream(path, { highWaterMark: CHUNK_SIZE })
  } catch (cause) {
    const message = errnoOf(cause) ?? String(cause)
    throw new RootfsError('ERR_ROOTFS_READ', `cannot read the layer ${path}: ${message}`, {
      path,
      cause,
      hint: 'pull the image again',
    })
  }
}
