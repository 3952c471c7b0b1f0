import { Readable } from 'node:stream'
import { ReadableStream } from 'node:stream/web'
import { RegistryError } from '../errors.ts'
import type { Descriptor } from '../image/descriptor.ts'
import { Verifier } from '../image/digest.ts'
import { familiarName, type Reference } from '../image/reference.ts'
import type { BlobRange } from './fetch-blob.ts'

/**
 * A blob's bytes as they come, in the form that suits: they can be read once, by iteration, as a web
 * stream or as a stream of Node's.
 *
 * Nothing is asked for before the first read, and no more is held than a read needs. A broken transfer
 * goes on by itself. When the last byte was passed on, size and digest are checked, and the iteration
 * or stream ends with `ERR_REGISTRY_DIGEST_MISMATCH` or `ERR_REGISTRY_SIZE_MISMATCH` if they are wrong:
 * who reads must not rely on what it got before the end came without an error. Leaving the iteration,
 * cancelling or destroying the stream closes the connection.
 */
export interface VerifiedBlob extends AsyncIterable<Uint8Array> {
  readonly descriptor: Descriptor
  /** As a stream of the web. */
  stream(): ReadableStream<Uint8Array>
  /** As a stream of Node's, of Buffers. */
  nodeStream(): Readable
  /**
   * The descriptor, once all was read and proven; undefined where only a range was asked for, which
   * nothing can prove. Rejects with what the reader gets. Needs no handler.
   */
  readonly verified: Promise<Descriptor | undefined>
}

/** What is needed to make a {@link VerifiedBlob}. */
export interface BlobReading {
  reference: Reference
  descriptor: Descriptor
  range: BlobRange
  /** Fetch these bytes, in order, resumed as often as it takes. */
  read(signal: AbortSignal): AsyncIterable<Uint8Array>
  signal?: AbortSignal | undefined
}

/** A blob whose bytes are verified on their way. */
export function createVerifiedBlob(reading: BlobReading): VerifiedBlob {
  const { descriptor } = reading
  let settle: { resolve(value: Descriptor | undefined): void; reject(error: unknown): void }
  const verified = new Promise<Descriptor | undefined>((resolve, reject) => {
    settle = { resolve, reject }
  })
  verified.catch(() => {}) // the reader is told
  let used = false

  function open(): OpenBlob {
    if (used) throw consumed(reading)
    used = true
    const stop = new AbortController()
    const signals = reading.signal === undefined ? [] : [reading.signal]
    const bytes = verify(reading, AbortSignal.any([stop.signal, ...signals]))
    return {
      async next() {
        try {
          const result = await bytes.next()
          if (result.done) settle.resolve(isWhole(reading) ? descriptor : undefined)
          return result
        } catch (error) {
          settle.reject(error)
          throw error
        }
      },
      async return() {
        settle.reject(abandoned(reading))
        stop.abort()
        await bytes.return(undefined).catch(() => {})
        return { done: true, value: undefined }
      },
    }
  }

  return {
    descriptor,
    verified,
    [Symbol.asyncIterator]: open,
    stream: () => toWebStream(open()),
    nodeStream: () => toNodeStream(open()),
  }
}

interface OpenBlob {
  next(): Promise<IteratorResult<Uint8Array, undefined>>
  /** Close the connection, even while a read waits for it. */
  return(): Promise<IteratorResult<Uint8Array, undefined>>
}

async function* verify(
  reading: BlobReading,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, undefined, undefined> {
  const verifier = isWhole(reading) ? new Verifier(reading.descriptor) : undefined
  for await (const chunk of reading.read(signal)) {
    verifier?.update(chunk)
    if (chunk.byteLength > 0) yield chunk
  }
  verifier?.finish()
}

function toWebStream(blob: OpenBlob): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await blob.next()
        if (done) controller.close()
        else controller.enqueue(value)
      },
      cancel: async () => {
        await blob.return()
      },
    },
    { highWaterMark: 0 },
  )
}

function toNodeStream(blob: OpenBlob): Readable {
  let ended = false
  return new Readable({
    read() {
      blob.next().then(
        ({ done = false, value }) => {
          ended = done
          this.push(done ? null : value)
        },
        (error) => this.destroy(error),
      )
    },
    destroy(error, callback) {
      if (ended) callback(error)
      else blob.return().then(() => callback(error), callback)
    },
  })
}

function isWhole({ range, descriptor }: BlobReading): boolean {
  const { offset = 0, end = descriptor.size } = range
  return offset === 0 && end === descriptor.size
}

function consumed({ reference, descriptor }: BlobReading): RegistryError {
  const name = familiarName(reference)
  return new RegistryError(
    'ERR_REGISTRY_CONSUMED',
    `${descriptor.digest} of ${name} was read already`,
    { reference: name, hint: 'ask the client for the blob again' },
  )
}

function abandoned({ reference, descriptor }: BlobReading): RegistryError {
  const name = familiarName(reference)
  return new RegistryError(
    'ERR_REGISTRY_ABORTED',
    `${descriptor.digest} of ${name} was not read to its end`,
    { reference: name },
  )
}
