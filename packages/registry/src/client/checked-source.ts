import { createHash, type Hash } from 'node:crypto'
import { throwIfAborted } from '../abort.ts'
import { RegistryError } from '../errors.ts'
import type { StreamedBody } from '../http/transport.ts'
import { parseDigest } from '../image/digest.ts'
import type { BlobSource } from './blob-source.ts'

interface ReadOptions {
  signal?: AbortSignal | undefined
  /** Called with the offset up to which bytes were handed over. */
  onSent?: ((offset: number) => void) | undefined
}

/**
 * Reads a source for an upload, piece by piece and again where that must be, and makes sure that it
 * is what its descriptor says: the last bytes are held back until all of them were seen to have its
 * digest, so that a registry never has a reason to store anything else.
 */
export class CheckedSource {
  readonly #source: BlobSource
  readonly #algorithm: string
  readonly #hash: Hash
  #hashed = 0

  constructor(source: BlobSource) {
    this.#source = source
    this.#algorithm = parseDigest(source.descriptor.digest).algorithm
    this.#hash = createHash(this.#algorithm)
  }

  /** How far it was read. */
  get seen(): number {
    return this.#hashed
  }

  /**
   * The bytes in `[from, to)` as a request's body; `from` lies at or before what was seen.
   * Reading it throws `ERR_REGISTRY_SOURCE_CHANGED`.
   */
  body(from: number, to: number, options: ReadOptions = {}): StreamedBody {
    return { size: to - from, open: () => this.#read(from, to, options) }
  }

  async *#read(from: number, to: number, options: ReadOptions): AsyncGenerator<Uint8Array> {
    const { signal, onSent } = options
    let offset = from
    for await (const chunk of this.#source.open(from, signal)) {
      throwIfAborted(signal)
      const piece = chunk.subarray(0, to - offset)
      this.#check(piece, offset)
      offset += piece.byteLength
      if (piece.byteLength > 0) yield piece
      onSent?.(offset)
      if (offset === to) return
    }
    throw this.#changed(`it ended after ${offset} of ${this.#source.descriptor.size} bytes`)
  }

  #check(piece: Uint8Array, offset: number): void {
    const { digest, size } = this.#source.descriptor
    const fresh = piece.subarray(this.#hashed - offset)
    if (offset + piece.byteLength <= this.#hashed) return
    this.#hash.update(fresh)
    this.#hashed += fresh.byteLength
    if (this.#hashed < size) return
    const actual = `${this.#algorithm}:${this.#hash.digest('hex')}`
    if (actual !== digest) throw this.#changed(`it hashes to ${actual}`, actual)
  }

  #changed(why: string, actual?: string): RegistryError {
    const { digest } = this.#source.descriptor
    const message = `what is pushed as ${digest} changed, or never was that: ${why}`
    return new RegistryError('ERR_REGISTRY_SOURCE_CHANGED', message, {
      expected: digest,
      actual,
      hint: 'push again while nothing writes to it',
    })
  }
}
