import { Readable, type Transform } from 'node:stream'
import * as zlib from 'node:zlib'
import { RootfsError } from './errors.ts'
import { zstdFrames } from './zstd-frames.ts'

/** Node's own default of 16 KiB costs a third of the throughput. */
export const CHUNK_SIZE = 512 * 1024

/** What the first bytes of a layer say about it. */
export type Compression = 'none' | 'gzip' | 'zstd'

/** Recognise a compression by its magic number; anything unknown is `none`, and left to the tar reader to judge. */
export function sniffCompression(start: Uint8Array): Compression {
  const [a, b, c, d] = start
  if (a === 0x1f && b === 0x8b) return 'gzip'
  if (a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd) return 'zstd'
  // A zstd file may start with a skippable frame (RFC 8878 §3.1.2).
  if (a !== undefined && a >> 4 === 0x5 && b === 0x2a && c === 0x4d && d === 0x18) return 'zstd'
  return 'none'
}

/**
 * The uncompressed bytes of a layer, whatever its media type claims: gzip (several members and trailing
 * zeros too), zstd, or plain. Throws `ERR_ROOTFS_COMPRESSION` and `ERR_ROOTFS_TAR_TRUNCATED`; errors of
 * the source itself pass unchanged.
 */
export async function* decompress(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const iterator = source[Symbol.asyncIterator]()
  const { start, done } = await readStart(iterator)
  const rest = resume(start, done, iterator)
  const compression = sniffCompression(start)
  if (compression === 'none') {
    for await (const chunk of rest) yield asBuffer(chunk)
  } else if (compression === 'gzip') {
    yield* throughStream(rest, zlib.createGunzip({ chunkSize: CHUNK_SIZE }))
  } else {
    const create = nodeZstd()
    yield* create === undefined ? throughFzstd(rest) : throughNodeZstd(rest, create)
  }
}

async function readStart(
  iterator: AsyncIterator<Uint8Array>,
): Promise<{ start: Buffer; done: boolean }> {
  let start: Buffer = Buffer.alloc(0)
  while (start.length < 4) {
    const next = await iterator.next()
    if (next.done === true) return { start, done: true }
    start = start.length === 0 ? asBuffer(next.value) : Buffer.concat([start, next.value])
  }
  return { start, done: false }
}

async function* resume(
  start: Buffer,
  done: boolean,
  iterator: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    if (start.length > 0) yield start
    if (done) return
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
      yield next.value
    }
  } finally {
    await iterator.return?.()
  }
}

async function* throughStream(
  source: AsyncIterable<Uint8Array>,
  decoder: Transform,
): AsyncGenerator<Buffer> {
  const input = Readable.from(source, { objectMode: false, highWaterMark: CHUNK_SIZE })
  let sourceError: unknown
  input.once('error', (error) => {
    sourceError = error
    decoder.destroy(error)
  })
  try {
    for await (const chunk of input.pipe(decoder)) yield chunk
  } catch (error) {
    throw error === sourceError ? error : compressionError(error)
  } finally {
    input.destroy()
    decoder.destroy()
  }
}

async function* throughFzstd(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const { Decompress } = await import('fzstd')
  const ready: Buffer[] = []
  const decoder = new Decompress((chunk) => {
    if (chunk.length > 0) ready.push(asBuffer(chunk))
  })
  const push = (chunk: Uint8Array, last: boolean): void => {
    try {
      decoder.push(chunk, last)
    } catch (error) {
      throw compressionError(error)
    }
  }
  for await (const chunk of source) {
    push(chunk, false)
    yield* ready.splice(0)
  }
  push(new Uint8Array(0), true)
  yield* ready.splice(0)
}

async function* throughNodeZstd(
  source: AsyncIterable<Uint8Array>,
  create: () => Transform,
): AsyncGenerator<Buffer> {
  for await (const frame of zstdFrames(source)) yield* throughStream(frame, create())
}

/** Node has zstd since 22.15 and 23.8; the types are those of Node 20, which has not. */
function nodeZstd(): (() => Transform) | undefined {
  if (!('createZstdDecompress' in zlib)) return undefined
  const create: unknown = zlib.createZstdDecompress
  if (typeof create !== 'function') return undefined
  // The function is documented to return a Transform: https://nodejs.org/api/zlib.html
  return () => create({ chunkSize: CHUNK_SIZE }) as Transform
}

function compressionError(cause: unknown): RootfsError {
  const message = cause instanceof Error ? cause.message : String(cause)
  const isShort = /unexpected end|unexpected EOF/i.test(message)
  return new RootfsError(
    isShort ? 'ERR_ROOTFS_TAR_TRUNCATED' : 'ERR_ROOTFS_COMPRESSION',
    `cannot decompress the layer: ${isShort ? 'it ends too early' : message}`,
    { cause, hint: 'pull the image again' },
  )
}

function asBuffer(chunk: Uint8Array): Buffer {
  return Buffer.isBuffer(chunk)
    ? chunk
    : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
}
