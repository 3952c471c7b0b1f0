import { isRegistryError } from '../errors.ts'
import { type OpenRange, type Part, resumedBytes, type TransferOptions } from './resumed-bytes.ts'

/** How a large blob may be fetched by several connections. */
export interface ParallelOptions extends TransferOptions {
  /** How many connections there may be at this moment. Asked before each new one. */
  connections: () => number
  /** Bytes of a range. Default 8 MiB. */
  rangeBytes?: number | undefined
  /** For tests: milliseconds. Default `performance.now`. */
  now?: () => number
}

const MIB = 1024 * 1024
/** Below this a range costs more than it brings. */
const PARALLEL_BYTES = 64 * MIB
const RANGE_BYTES = 8 * MIB
/** Where one connection is as fast as this, 0.8 Gbit/s, several mostly compete for the processor. */
const FAST_BYTES_PER_MS = 100_000
/** What several connections must be faster by than one was. */
const WORTHWHILE = 1.3
/** A registry with ranges but without room for more connections is asked again after so much. */
const ALONE_BYTES = 64 * MIB

/** The bytes of a part in order, by the way that suits its size and the connections there may be. */
export function blobBytes(
  open: OpenRange,
  part: Part,
  options: ParallelOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const large = part.end - part.offset > PARALLEL_BYTES
  return large && options.connections() > 1
    ? parallelBytes(open, part, options)
    : resumedBytes(open, part, options)
}

/**
 * The bytes of a part in order, fetched as bounded ranges by several connections where that is faster.
 *
 * The first range is fetched alone, and shows whether the registry has ranges and how fast one
 * connection is. Then several ranges are under way at once, if that is any use: the first of them is
 * passed on as it comes, the others are kept in memory, so that never more than `connections` ranges
 * are. What was passed on is all there is to know when a transfer is resumed. As soon as ranges turn
 * out to be no faster, or to be refused, one connection fetches the rest.
 */
export async function* parallelBytes(
  open: OpenRange,
  part: Part,
  options: ParallelOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { connections, rangeBytes = RANGE_BYTES, now = () => performance.now() } = options
  const { end } = part
  const first = { offset: part.offset, end: Math.min(part.offset + rangeBytes, end), limit: end }
  const alone = new Speed(now)
  for await (const chunk of resumedBytes(open, first, options)) {
    alone.add(chunk.byteLength)
    yield chunk
  }
  part.offset = first.offset
  let worthwhile = alone.perMs < FAST_BYTES_PER_MS
  while (part.offset < end) {
    if (worthwhile && connections() > 1) {
      const enough = alone.perMs * WORTHWHILE
      worthwhile = yield* ranges(open, part, { ...options, rangeBytes, now, enough })
    } else {
      const stop = worthwhile ? Math.min(part.offset + ALONE_BYTES, end) : end
      const rest = { offset: part.offset, end: stop, limit: end }
      yield* resumedBytes(open, rest, options)
      part.offset = rest.offset
    }
  }
}

/** Ranges side by side, until all is there, or until they are no use: then returns false. */
async function* ranges(
  open: OpenRange,
  part: Part,
  options: TransferOptions & {
    connections: () => number
    rangeBytes: number
    now: () => number
    /** Bytes per millisecond below which ranges are no use. */
    enough: number
  },
): AsyncGenerator<Uint8Array, boolean, undefined> {
  const { connections, rangeBytes, enough } = options
  const stop = new AbortController()
  const signal = AbortSignal.any([stop.signal, ...(options.signal ? [options.signal] : [])])
  const once = { policy: { attempts: 1 }, signal }
  const speed = new Speed(options.now)
  const under: RangeInMemory[] = []
  const { end } = part
  let next = part.offset
  const trial = connections()
  let worthwhile = true
  let done = 0
  try {
    while (part.offset < end) {
      const width = connections()
      if (under.some(({ failure }) => isRefused(failure))) worthwhile = false
      while (worthwhile && width > 1 && next < end && under.length < width) {
        const range = { offset: next, end: Math.min(next + rangeBytes, end) }
        next = range.end
        under.push(new RangeInMemory(resumedBytes(open, range, once), range, speed))
      }
      const head = under[0]
      if (head === undefined) return worthwhile
      yield* head.bytes()
      if (head.failure !== undefined) {
        if (isRefused(head.failure)) worthwhile = false
        yield* resumedBytes(open, head.part, options, head.failure)
      }
      part.offset = head.part.end
      under.shift()
      done += 1
      if (done === trial && speed.perMs < enough) worthwhile = false
    }
    return worthwhile
  } finally {
    stop.abort()
    await Promise.all(under.map((range) => range.finished))
  }
}

/** Who is told not to ask, or to ask less often, has too many connections; who was cut off has not. */
function isRefused(failure: unknown): boolean {
  return isRegistryError(failure) && failure.status !== undefined
}

/** A range that is fetched at once, whoever reads it when. */
class RangeInMemory {
  readonly part: Part
  readonly finished: Promise<void>
  /** Why not all of it came; `part.offset` says how much did. */
  failure: unknown
  readonly #chunks: Uint8Array[] = []
  #ended = false
  #wake = () => {}

  constructor(source: AsyncIterable<Uint8Array>, part: Part, speed: Speed) {
    this.part = part
    this.finished = this.#fill(source, speed)
  }

  /** What has come and what comes, each chunk once. */
  async *bytes(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const chunk = this.#chunks.shift()
      if (chunk !== undefined) yield chunk
      else if (this.#ended) return
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    }
  }

  async #fill(source: AsyncIterable<Uint8Array>, speed: Speed): Promise<void> {
    try {
      for await (const chunk of source) {
        speed.add(chunk.byteLength)
        this.#chunks.push(chunk)
        this.#wake()
      }
    } catch (error) {
      this.failure = error
    } finally {
      this.#ended = true
      this.#wake()
    }
  }
}

/** How fast bytes came since the first of them. */
class Speed {
  readonly #now: () => number
  #since: number | undefined
  #last = 0
  #bytes = 0

  constructor(now: () => number) {
    this.#now = now
  }

  /** In bytes; 0 as long as nothing is known. */
  get perMs(): number {
    return this.#since === undefined ? 0 : this.#bytes / Math.max(this.#last - this.#since, 1e-6)
  }

  add(bytes: number): void {
    this.#last = this.#now()
    if (this.#since === undefined) this.#since = this.#last
    else this.#bytes += bytes
  }
}
