import { RootfsError } from './errors.ts'

/**
 * The frames of a zstd stream, one after the other, each as its compressed bytes; frames to be skipped are
 * left out. Each frame has to be read to its end before the next is asked for.
 *
 * A zstd layer often has many frames (pzstd, zstd:chunked), but Node's decoder stops after the first
 * without a word. RFC 8878 §3.1.
 */
export async function* zstdFrames(
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<AsyncGenerator<Buffer>> {
  const reader = new ByteReader(source[Symbol.asyncIterator]())
  try {
    for (;;) {
      const magic = await reader.upTo(4)
      if (magic.length === 0) return
      if (magic.length < 4) throw truncated()
      const number = magic.readUInt32LE()
      if (number === 0xfd2fb528) yield frame(magic, reader)
      else if (number >>> 4 === 0x184d2a5) await skip(reader)
      else
        throw new RootfsError(
          'ERR_ROOTFS_COMPRESSION',
          'cannot decompress the layer: something that is not zstd follows a frame',
        )
    }
  } finally {
    await reader.close()
  }
}

async function skip(reader: ByteReader): Promise<void> {
  const size = (await reader.exactly(4)).readUInt32LE()
  for await (const _ of reader.stream(size));
}

async function* frame(magic: Buffer, reader: ByteReader): AsyncGenerator<Buffer> {
  const descriptor = await reader.exactly(1)
  const flags = descriptor.readUInt8()
  yield Buffer.concat([magic, descriptor, await reader.exactly(headerSize(flags))])
  for (let isLast = false; !isLast; ) {
    const block = await reader.exactly(3)
    const fields = block.readUIntLE(0, 3)
    isLast = (fields & 1) === 1
    const isRunLength = ((fields >> 1) & 3) === 1
    yield block
    yield* reader.stream(isRunLength ? 1 : fields >> 3)
  }
  const hasChecksum = (flags & 4) !== 0
  if (hasChecksum) yield await reader.exactly(4)
}

/** Bytes of a frame's header after its descriptor (RFC 8878 §3.1.1.1). */
function headerSize(flags: number): number {
  const isSingleSegment = (flags & 0x20) !== 0
  const contentSize = [isSingleSegment ? 1 : 0, 2, 4, 8][flags >> 6] ?? 0
  const dictionaryId = [0, 1, 2, 4][flags & 3] ?? 0
  return (isSingleSegment ? 0 : 1) + dictionaryId + contentSize
}

/** Takes counted bytes from chunks of any size. */
class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>
  #chunk: Buffer = Buffer.alloc(0)

  constructor(source: AsyncIterator<Uint8Array>) {
    this.#source = source
  }

  /** `size` bytes, piece by piece and without copying. Throws `ERR_ROOTFS_TAR_TRUNCATED`. */
  async *stream(size: number): AsyncGenerator<Buffer> {
    for (let left = size; left > 0; ) {
      if (!(await this.#fill())) throw truncated()
      const piece = this.#chunk.subarray(0, left)
      this.#chunk = this.#chunk.subarray(piece.length)
      left -= piece.length
      yield piece
    }
  }

  /** `size` bytes, or as many as there are. */
  async upTo(size: number): Promise<Buffer> {
    const pieces: Buffer[] = []
    for (let left = size; left > 0 && (await this.#fill()); ) {
      const piece = this.#chunk.subarray(0, left)
      this.#chunk = this.#chunk.subarray(piece.length)
      left -= piece.length
      pieces.push(piece)
    }
    return Buffer.concat(pieces)
  }

  /** `size` bytes in one piece. Throws `ERR_ROOTFS_TAR_TRUNCATED`. */
  async exactly(size: number): Promise<Buffer> {
    const bytes = await this.upTo(size)
    if (bytes.length < size) throw truncated()
    return bytes
  }

  async close(): Promise<void> {
    await this.#source.return?.()
  }

  async #fill(): Promise<boolean> {
    while (this.#chunk.length === 0) {
      const next = await this.#source.next()
      if (next.done === true) return false
      this.#chunk = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength)
    }
    return true
  }
}

function truncated(): RootfsError {
  return new RootfsError(
    'ERR_ROOTFS_TAR_TRUNCATED',
    'cannot decompress the layer: it ends too early',
    {
      hint: 'pull the image again',
    },
  )
}
