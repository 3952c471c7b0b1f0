/** Bytes that can be read from any place, any number of times. */
export interface Body {
  /** In bytes. */
  readonly size: number
  /** The bytes from `start` up to, but not including, `end`. */
  open(start: number, end: number): AsyncIterable<Uint8Array>
}

/** A body that is in memory. */
export function bytesBody(bytes: Uint8Array): Body {
  return {
    size: bytes.byteLength,
    async *open(start, end) {
      if (start < end) yield bytes.subarray(start, end)
    },
  }
}

/** The body without bytes. */
export const NO_BODY = bytesBody(new Uint8Array())

/** The value as a JSON document. */
export function jsonBody(value: unknown): Body {
  return bytesBody(Buffer.from(JSON.stringify(value)))
}

/** The bytes of `body` from `start` up to, but not including, `end`. */
export function partOf(body: Body, start: number, end: number): Body {
  return {
    size: end - start,
    open: (from, to) => body.open(start + from, start + to),
  }
}

/** The same bytes, but for one bit of the byte at `position`. */
export function flipped(body: Body, position: number): Body {
  return {
    size: body.size,
    async *open(start, end) {
      let offset = start
      for await (const chunk of body.open(start, end)) {
        const index = position - offset
        offset += chunk.byteLength
        yield index >= 0 && index < chunk.byteLength ? withFlippedBit(chunk, index) : chunk
      }
    },
  }
}

function withFlippedBit(chunk: Uint8Array, index: number): Uint8Array {
  const copy = Buffer.from(chunk)
  copy[index] = (copy[index] ?? 0) ^ 1
  return copy
}

/** Bytes of padding that are made at a time. */
const PADDING_CHUNK = 64 * 1024

/** The body cut off or padded to `size` bytes. */
export function resized(body: Body, size: number, padding = 0): Body {
  return {
    size,
    async *open(start, end) {
      yield* body.open(Math.min(start, body.size), Math.min(end, body.size))
      const chunk = new Uint8Array(PADDING_CHUNK).fill(padding)
      for (let left = end - Math.max(start, body.size); left > 0; left -= chunk.byteLength) {
        yield chunk.subarray(0, Math.min(left, chunk.byteLength))
      }
    },
  }
}

/** The whole body in memory. */
export async function readBody(body: Body): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body.open(0, body.size)) chunks.push(chunk)
  return Buffer.concat(chunks)
}
