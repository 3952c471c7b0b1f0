import { MAGIC } from './records.ts'

const HEAD_BYTES = 8
const MUST_UNDERSTAND = 1
const FIRST_BYTES = 512
const HIGH = 2 ** 32

/**
 * Writes a message of many records into one piece of memory. It is written while nothing else of the
 * process can run, so it makes no buffer for each number and text. After `begin(type)` come the parts
 * of that record; the next `begin`, or `finish`, ends it.
 */
export class MessageWriter {
  #bytes: Buffer
  #view: DataView
  #at = HEAD_BYTES
  #record = 0

  constructor() {
    this.#bytes = Buffer.allocUnsafe(FIRST_BYTES)
    this.#view = viewOf(this.#bytes)
  }

  begin(type: number): this {
    this.#end()
    this.#room(HEAD_BYTES)
    this.#record = this.#at
    this.#view.setUint16(this.#at, type, true)
    this.#view.setUint16(this.#at + 2, MUST_UNDERSTAND, true)
    this.#at += HEAD_BYTES
    return this
  }

  /** Its lowest 32 bits. */
  u32(value: number): this {
    this.#room(4)
    this.#view.setUint32(this.#at, value, true)
    this.#at += 4
    return this
  }

  /** Its lowest 64 bits; a number is a safe integer and not negative. */
  u64(value: bigint | number): this {
    if (typeof value === 'number') return this.u32(value).u32(value / HIGH)
    this.#room(8)
    this.#view.setBigUint64(this.#at, value, true)
    this.#at += 8
    return this
  }

  /** With a NUL at its end. */
  text(value: string): this {
    this.#room(3 * value.length + 1) // no character takes more in UTF-8
    this.#at += this.#bytes.write(value, this.#at)
    this.#bytes[this.#at++] = 0
    return this
  }

  bytes(value: Uint8Array): this {
    this.#room(value.length)
    this.#bytes.set(value, this.#at)
    this.#at += value.length
    return this
  }

  finish(): Buffer {
    this.#end()
    this.#view.setUint32(0, MAGIC, true)
    this.#view.setUint32(4, this.#at - HEAD_BYTES, true)
    return this.#bytes.subarray(0, this.#at)
  }

  #end(): void {
    if (this.#record === 0) return
    this.#view.setUint32(this.#record + 4, this.#at - this.#record - HEAD_BYTES, true)
    this.#room(3)
    while (this.#at % 4 !== 0) this.#bytes[this.#at++] = 0
    this.#record = 0
  }

  #room(size: number): void {
    if (this.#at + size <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(2 * (this.#at + size))
    this.#bytes.copy(larger, 0, 0, this.#at)
    this.#bytes = larger
    this.#view = viewOf(larger)
  }
}

function viewOf({ buffer, byteOffset, byteLength }: Buffer): DataView {
  return new DataView(buffer, byteOffset, byteLength)
}
