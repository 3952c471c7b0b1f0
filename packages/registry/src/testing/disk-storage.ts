import {
  createReadStream,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parseDigest } from '../image/digest.ts'
import type { BlobStorage, UploadFile } from './blob-storage.ts'

/** Blobs in files `blobs/<algorithm>/<hex>` of a directory, and uploads in `uploads`; one process at a time. */
export function diskStorage(directory: string): BlobStorage {
  const uploads = join(directory, 'uploads')
  rmSync(uploads, { recursive: true, force: true })
  mkdirSync(uploads, { recursive: true })
  const pathOf = (digest: string) => {
    const { algorithm, hex } = parseDigest(digest)
    return join(directory, 'blobs', algorithm, hex)
  }
  const sizes = readSizes(directory)
  const keep = async (file: string, digest: string, size: number) => {
    await rename(file, pathOf(digest))
    sizes.set(digest, size)
  }
  return {
    get: (digest) => {
      const size = sizes.get(digest)
      return size === undefined ? undefined : { size, open: readerOf(pathOf(digest)) }
    },
    read: (digest) => (sizes.has(digest) ? readFileSync(pathOf(digest)) : undefined),
    add: (digest, bytes) => {
      writeWhole(pathOf(digest), bytes)
      sizes.set(digest, bytes.byteLength)
    },
    remove: (digest) => {
      sizes.delete(digest)
      rmSync(pathOf(digest), { force: true })
    },
    createUpload: (id) => diskUpload(join(uploads, id), keep),
  }
}

/** Write a file so that it is there as a whole or not at all. */
export function writeWhole(path: string, bytes: Uint8Array): void {
  const part = `${path}.part`
  writeFileSync(part, bytes)
  renameSync(part, path)
}

function readSizes(directory: string): Map<string, number> {
  const sizes = new Map<string, number>()
  for (const algorithm of ['sha256', 'sha512']) {
    const files = join(directory, 'blobs', algorithm)
    mkdirSync(files, { recursive: true })
    for (const name of readdirSync(files)) {
      if (name.endsWith('.part')) rmSync(join(files, name))
      else sizes.set(`${algorithm}:${name}`, statSync(join(files, name)).size)
    }
  }
  return sizes
}

const READ_BYTES = 256 * 1024

function readerOf(path: string) {
  return async function* read(start: number, end: number): AsyncGenerator<Uint8Array> {
    if (start >= end) return
    yield* createReadStream(path, { start, end: end - 1, highWaterMark: READ_BYTES })
  }
}

function diskUpload(
  path: string,
  keep: (file: string, digest: string, size: number) => Promise<void>,
): UploadFile {
  let file: Promise<FileHandle> | undefined
  let size = 0
  const opened = () => {
    file ??= open(path, 'wx')
    return file
  }
  const closed = async () => {
    const handle = await file
    file = undefined
    await handle?.close()
  }
  return {
    get size() {
      return size
    },
    open: readerOf(path),
    append: async (chunk) => {
      await (await opened()).writeFile(chunk)
      size += chunk.byteLength
    },
    commit: async (digest) => {
      await (await opened()).datasync()
      await closed()
      await keep(path, digest, size)
    },
    discard: async () => {
      await closed()
      await rm(path, { force: true })
    },
  }
}
