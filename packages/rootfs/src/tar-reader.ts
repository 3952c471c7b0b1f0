import type { ByteString } from './byte-string.ts'
import { RootfsError } from './errors.ts'
import { enforceLimit, type Limits } from './limits.ts'
import { type PaxRecords, parsePaxRecords } from './pax.ts'
import { buildEntry, type TarEntry } from './tar-entry.ts'
import { BLOCK_SIZE, decodeHeader, isZeroBlock, type TarHeader } from './tar-header.ts'

/** Who wants the entries. Every call is synchronous: when it returns, the bytes may be reused. */
export interface TarSink {
  entry(entry: TarEntry): void
  /** A piece of the body of the last entry, in order. */
  data(chunk: Buffer): void
  /** The body of the last entry is complete; called for entries without a body too. */
  end(): void
}

/** What extended headers said about the entry that follows them. */
interface Pending {
  pax?: PaxRecords
  longName?: ByteString
  longLink?: ByteString
}

/**
 * Reads a tar archive that is pushed into it in chunks of any size, and hands entries to a sink.
 * Nothing is copied but headers that straddle two chunks and the bodies of extended headers.
 *
 * The size of an extended header is always the one in its own block: letting an earlier PAX `size`
 * apply to it is how archives are read in two ways (CVE-2025-62518, CVE-2026-53655).
 */
export class TarReader {
  readonly #sink: TarSink
  readonly #limits: Limits
  readonly #block = Buffer.alloc(BLOCK_SIZE)
  #blockFill = 0
  #body: 'none' | 'entry' | 'extended' = 'none'
  #remaining = 0
  #padding = 0
  #extended: { typeflag: string; bytes: Buffer; fill: number } | undefined
  #pending: Pending = {}
  #global: PaxRecords = new Map()
  #zeroBlocks = 0

  constructor(sink: TarSink, limits: Limits) {
    this.#sink = sink
    this.#limits = limits
  }

  /** Take the next chunk. What follows the two zero blocks that end the archive is ignored. */
  write(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length && this.#zeroBlocks < 2) {
      if (this.#body !== 'none') at = this.#takeBody(chunk, at)
      else if (this.#padding > 0) {
        const skipped = Math.min(this.#padding, chunk.length - at)
        this.#padding -= skipped
        at += skipped
      } else at = this.#takeBlock(chunk, at)
    }
  }

  /** The source has ended. Throws `ERR_ROOTFS_TAR_TRUNCATED` unless the archive is complete. */
  end(): void {
    if (this.#zeroBlocks >= 2) return
    const dangling = this.#pending.pax ?? this.#pending.longName ?? this.#pending.longLink
    if (
      this.#body === 'none' &&
      this.#padding === 0 &&
      this.#blockFill === 0 &&
      dangling === undefined
    ) {
      return
    }
    throw new RootfsError(
      'ERR_ROOTFS_TAR_TRUNCATED',
      'cannot read the archive: it ends in the middle of an entry',
    )
  }

  #takeBody(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#remaining)
    if (this.#extended === undefined) {
      this.#sink.data(at === 0 && end === chunk.length ? chunk : chunk.subarray(at, end))
    } else {
      chunk.copy(this.#extended.bytes, this.#extended.fill, at, end)
      this.#extended.fill += end - at
    }
    this.#remaining -= end - at
    if (this.#remaining === 0) this.#endBody()
    return end
  }

  #endBody(): void {
    this.#body = 'none'
    const extended = this.#extended
    this.#extended = undefined
    if (extended === undefined) this.#sink.end()
    else this.#takeExtended(extended.typeflag, extended.bytes)
  }

  #takeBlock(chunk: Buffer, at: number): number {
    if (this.#blockFill === 0 && chunk.length - at >= BLOCK_SIZE) {
      this.#takeHeader(chunk, at)
      return at + BLOCK_SIZE
    }
    const end = Math.min(chunk.length, at + BLOCK_SIZE - this.#blockFill)
    chunk.copy(this.#block, this.#blockFill, at, end)
    this.#blockFill += end - at
    if (this.#blockFill === BLOCK_SIZE) {
      this.#blockFill = 0
      this.#takeHeader(this.#block, 0)
    }
    return end
  }

  #takeHeader(block: Buffer, offset: number): void {
    if (block[offset] === 0 && isZeroBlock(block, offset)) {
      this.#zeroBlocks++
      if (this.#zeroBlocks === 2) this.#refuseDangling()
      return
    }
    if (this.#zeroBlocks > 0) {
      throw new RootfsError(
        'ERR_ROOTFS_TAR_DESYNC',
        'cannot read the archive: it goes on after a block of zeros',
      )
    }
    const header = decodeHeader(block, offset)
    if ('xXgLK'.includes(header.typeflag)) this.#openExtended(header)
    else this.#openEntry(header)
  }

  #openExtended(header: TarHeader): void {
    enforceLimit(this.#limits, 'paxBytes', header.size, 'an extended header')
    this.#extended = { typeflag: header.typeflag, bytes: Buffer.allocUnsafe(header.size), fill: 0 }
    this.#openBody('extended', header.size)
  }

  #openEntry(header: TarHeader): void {
    const pending = this.#pending
    this.#pending = {}
    const entry = buildEntry(header, { ...pending, global: this.#global })
    enforceLimit(this.#limits, 'nameBytes', entry.name.length, entry.name)
    enforceLimit(this.#limits, 'nameBytes', entry.linkName.length, entry.name)
    this.#sink.entry(entry)
    this.#openBody('entry', entry.size)
  }

  #openBody(kind: 'entry' | 'extended', size: number): void {
    this.#body = kind
    this.#remaining = size
    this.#padding = (BLOCK_SIZE - (size % BLOCK_SIZE)) % BLOCK_SIZE
    if (size === 0) this.#endBody()
  }

  #takeExtended(typeflag: string, bytes: Buffer): void {
    if (typeflag === 'g') this.#takeGlobal(parsePaxRecords(bytes))
    else if (typeflag === 'L') this.#setPending('longName', untilNul(bytes))
    else if (typeflag === 'K') this.#setPending('longLink', untilNul(bytes))
    else this.#setPending('pax', parsePaxRecords(bytes))
  }

  /** Two extended headers of one kind for one entry: readers differ in which of them counts. */
  #setPending<K extends keyof Pending>(kind: K, value: NonNullable<Pending[K]>): void {
    if (this.#pending[kind] !== undefined) {
      throw new RootfsError(
        'ERR_ROOTFS_TAR_INVALID',
        'cannot read the archive: an entry has two extended headers of one kind',
      )
    }
    this.#pending[kind] = value
  }

  #takeGlobal(records: PaxRecords): void {
    for (const [key, value] of records) {
      if (key === 'path' || key === 'linkpath' || key === 'size' || key.startsWith('GNU.sparse.')) {
        throw new RootfsError(
          'ERR_ROOTFS_TAR_INVALID',
          `cannot read the archive: a global PAX header sets ${key} for every entry`,
        )
      }
      if (value.length === 0) this.#global.delete(key)
      else this.#global.set(key, value)
    }
    let total = 0
    for (const [key, value] of this.#global) total += key.length + value.length
    enforceLimit(this.#limits, 'paxBytes', total, 'the global extended header')
  }

  #refuseDangling(): void {
    if (Object.keys(this.#pending).length === 0) return
    throw new RootfsError(
      'ERR_ROOTFS_TAR_DESYNC',
      'cannot read the archive: it ends after an extended header',
    )
  }
}

function untilNul(bytes: Buffer): ByteString {
  const nul = bytes.indexOf(0)
  return bytes.toString('latin1', 0, nul === -1 ? bytes.length : nul)
}
