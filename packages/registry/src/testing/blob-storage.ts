import { type Body, bytesBody } from './body.ts'

/** Where the bytes of blobs are, each once, whatever repositories have them. */
export interface BlobStorage {
  get(digest: string): Body | undefined
  /** All bytes at once, of what is known to be small. */
  read(digest: string): Uint8Array | undefined
  add(digest: string, bytes: Uint8Array): void
  remove(digest: string): void
  /** A place for bytes that become a blob later, or nothing. */
  createUpload(id: string): UploadFile
}

/** Bytes that are on their way to become a blob. */
export interface UploadFile extends Body {
  append(chunk: Uint8Array): Promise<void>
  /** Make what was appended a blob; afterwards this file is gone. */
  commit(digest: string): Promise<void>
  discard(): Promise<void>
}

/** Blobs in memory. */
export function memoryStorage(): BlobStorage {
  const blobs = new Map<string, Uint8Array>()
  return {
    get: (digest) => {
      const bytes = blobs.get(digest)
      return bytes && bytesBody(bytes)
    },
    read: (digest) => blobs.get(digest),
    add: (digest, bytes) => void blobs.set(digest, bytes),
    remove: (digest) => void blobs.delete(digest),
    createUpload: () => memoryUpload((digest, bytes) => blobs.set(digest, bytes)),
  }
}

function memoryUpload(keep: (digest: string, bytes: Uint8Array) => void): UploadFile {
  const chunks: Uint8Array[] = []
  let size = 0
  return {
    get size() {
      return size
    },
    open: (start, end) => bytesBody(Buffer.concat(chunks)).open(start, end),
    append: async (chunk) => {
      chunks.push(chunk)
      size += chunk.byteLength
    },
    commit: async (digest) => keep(digest, Buffer.concat(chunks)),
    discard: async () => {
      chunks.length = 0
    },
  }
}
