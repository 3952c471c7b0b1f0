import { constants, createReadStream } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { type Duplex, pipeline } from 'node:stream'
import * as zlib from 'node:zlib'
import { throwIfAborted } from '../abort.ts'
import { archiveError, badArchive } from './archive-error.ts'

/** The uncompressed bytes of an archive. */
export interface ArchiveInput {
  readonly path: string
  /** Undefined if only reading tells. */
  readonly size: number | undefined
  /** Read from the beginning on, in order. */
  cursor(): ArchiveCursor
  /** Some bytes from the middle; throws `ERR_REGISTRY_ARCHIVE` if there are fewer. */
  stream(offset: number, length: number, signal?: AbortSignal): AsyncIterable<Uint8Array>
  close(): Promise<void>
}

/** A place in an archive that moves forward. */
export interface ArchiveCursor {
  /** The next bytes; fewer at the end of the archive. */
  read(length: number): Promise<Buffer>
  /** Pass over bytes. Returns whether they were all there. */
  skip(length: number): Promise<boolean>
  close(): Promise<void>
}

const READ_BYTES = 256 * 1024
const MAGIC: ReadonlyArray<readonly [kind: string, bytes: readonly number[]]> = [
  ['gzip', [0x1f, 0x8b]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
]

/** How bytes are compressed, by how they begin; undefined if they are not. */
export function compressionOf(start: Uint8Array): string | undefined {
  return MAGIC.find(([, bytes]) => bytes.every((byte, i) => start[i] === byte))?.[0]
}

/** A stream that uncompresses. Undefined if this Node has none for it. */
export function decompressor(kind: string): Duplex | undefined {
  if (kind === 'gzip') return zlib.createGunzip({ chunkSize: READ_BYTES })
  // Since Node 22.15.
  const createZstd = (zlib as { createZstdDecompress?: (options: object) => Duplex })
    .createZstdDecompress
  return kind === 'zstd' ? createZstd?.({ chunkSize: READ_BYTES }) : undefined
}

/** Open a tar archive, plain or compressed by gzip or, from Node 22.15 on, zstd. Throws `ERR_REGISTRY_ARCHIVE`. */
export async function openArchiveInput(path: string): Promise<ArchiveInput> {
  let handle: FileHandle | undefined
  try {
    // A pipe that nobody writes to would keep a plain open waiting.
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const found = await handle.stat()
    if (!found.isFile()) throw badArchive(path, 'it is not a regular file')
    const start = Buffer.alloc(6)
    await handle.read(start, 0, start.length, 0)
    const kind = compressionOf(start)
    if (kind === undefined) return plainInput(path, handle, found.size)
    await handle.close()
    const probe = decompressor(kind)
    probe?.destroy()
    if (probe !== undefined) return compressedInput(path, kind)
    throw badArchive(path, `it is compressed by ${kind}`, {
      hint: `uncompress it with ${kind} first`,
    })
  } catch (error) {
    await handle?.close().catch(() => {})
    throw archiveError('read', path, error)
  }
}

function plainInput(path: string, handle: FileHandle, size: number): ArchiveInput {
  async function* stream(offset: number, length: number, signal?: AbortSignal) {
    for (let done = 0; done < length; ) {
      throwIfAborted(signal)
      const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, length - done))
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, offset + done)
      if (bytesRead === 0) throw badArchive(path, 'it is cut short')
      done += bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  }
  return {
    path,
    size,
    stream,
    cursor() {
      let position = 0
      return {
        async read(length) {
          const buffer = Buffer.alloc(length)
          let done = 0
          while (done < length) {
            const { bytesRead } = await handle.read(buffer, done, length - done, position + done)
            if (bytesRead === 0) break
            done += bytesRead
          }
          position += done
          return buffer.subarray(0, done)
        },
        async skip(length) {
          position += length
          return position <= size
        },
        async close() {},
      }
    },
    close: () => handle.close(),
  }
}

/** There is no way into the middle but from the beginning. */
function compressedInput(path: string, kind: string): ArchiveInput {
  async function* bytes(): AsyncGenerator<Buffer, void, undefined> {
    const output = decompressor(kind)
    if (output === undefined) return
    const input = createReadStream(path, { highWaterMark: READ_BYTES })
    pipeline(input, output, () => {}) // its failure is thrown by the iteration
    try {
      yield* output
    } catch (error) {
      throw archiveError('uncompress', path, error)
    } finally {
      input.destroy()
      output.destroy()
    }
  }
  return {
    path,
    size: undefined,
    cursor: () => streamCursor(bytes()),
    async *stream(offset, length, signal) {
      let position = 0
      for await (const chunk of bytes()) {
        throwIfAborted(signal)
        const wanted = chunk.subarray(Math.max(0, offset - position), offset + length - position)
        position += chunk.length
        if (position > offset && wanted.length > 0) yield wanted
        if (position >= offset + length) return
      }
      if (position < offset + length) throw badArchive(path, 'it is cut short')
    },
    async close() {},
  }
}

function streamCursor(bytes: AsyncGenerator<Buffer, void, undefined>): ArchiveCursor {
  let rest: Buffer = Buffer.alloc(0)
  /** Take at most so many bytes; none at the end. */
  async function take(length: number): Promise<Buffer> {
    while (rest.length === 0) {
      const next = await bytes.next()
      if (next.done) return rest
      rest = next.value
    }
    const taken = rest.subarray(0, length)
    rest = rest.subarray(taken.length)
    return taken
  }
  async function pass(length: number, keep: (piece: Buffer) => void): Promise<number> {
    let done = 0
    while (done < length) {
      const piece = await take(length - done)
      if (piece.length === 0) break
      keep(piece)
      done += piece.length
    }
    return done
  }
  return {
    async read(length) {
      const pieces: Buffer[] = []
      await pass(length, (piece) => pieces.push(piece))
      return Buffer.concat(pieces)
    },
    skip: async (length) => (await pass(length, () => {})) === length,
    async close() {
      await bytes.return()
    },
  }
}
