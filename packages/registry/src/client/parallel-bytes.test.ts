import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RegistryError } from '../errors.ts'
import type { BlobBody } from './fetch-blob.ts'
import { blobBytes, type ParallelOptions, parallelBytes } from './parallel-bytes.ts'
import type { OpenRange } from './resumed-bytes.ts'

const RANGE = 100
const CHUNK = 10
const SIZE = 1234
const content = Uint8Array.from({ length: SIZE }, (_, i) => i % 251)

interface Host {
  open: OpenRange
  /** What was asked for, in order. */
  asked: Array<[offset: number, end: number]>
  /** How many answers were being read at most. */
  most(): number
  /** How many are being read. */
  reading(): number
  /** How many bytes of answers have been read. */
  sent(): number
}

/** Something that has the bytes; `fault` may spoil what the nth request, from 1 on, gets. */
function host(
  fault: (nth: number, offset: number, end: number) => Partial<Fault> = () => ({}),
): Host {
  const asked: Host['asked'] = []
  let [reading, most, sent] = [0, 0, 0]
  return {
    asked,
    most: () => most,
    reading: () => reading,
    sent: () => sent,
    async open(from, to): Promise<BlobBody> {
      asked.push([from, to])
      const { failure, cutAt, whole = false, clock } = fault(asked.length, from, to)
      await turn()
      if (failure !== undefined) throw failure
      const [offset, end] = whole ? [0, SIZE] : [from, to]
      async function* body() {
        most = Math.max(most, ++reading)
        try {
          for (let at = offset; at < end; at += CHUNK) {
            await turn()
            clock?.(reading)
            if (cutAt !== undefined && at >= offset + cutAt) throw broken()
            const chunk = content.slice(at, Math.min(at + CHUNK, end))
            sent += chunk.byteLength
            yield chunk
          }
        } finally {
          reading -= 1
        }
      }
      return { offset, end, body: body(), cancel: () => {} }
    },
  }
}

interface Fault {
  failure: Error
  /** The answer breaks off after so many bytes. */
  cutAt: number
  /** A range is answered with everything. */
  whole: boolean
  /** Called for each chunk with the number of answers that are being read. */
  clock(reading: number): void
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))
const broken = () => new RegistryError('ERR_REGISTRY_UNREACHABLE', 'cut', { temporary: true })
const refused = () =>
  new RegistryError('ERR_REGISTRY_RATE_LIMITED', 'busy', { temporary: true, status: 429 })

/** A clock that stands still unless chunks make it tick: each connection as slow as if it were alone. */
function independent() {
  let time = 0
  const clock = (reading: number) => {
    time += 10 / reading
  }
  return { now: () => time, clock }
}

/** All connections together are no faster than one. */
function shared() {
  let time = 0
  const clock = () => {
    time += 10
  }
  return { now: () => time, clock }
}

async function fetched(
  { open }: Host,
  options: Partial<ParallelOptions> & { offset?: number; end?: number } = {},
  onBytes: (passedOn: number) => void = () => {},
): Promise<Uint8Array> {
  const { offset = 0, end = SIZE, ...others } = options
  const part = { offset, end }
  const settings = { connections: () => 4, rangeBytes: RANGE, policy: { baseMs: 0 }, ...others }
  const chunks: Uint8Array[] = []
  let passedOn = 0
  for await (const chunk of parallelBytes(open, part, settings)) {
    chunks.push(chunk)
    passedOn += chunk.byteLength
    onBytes(passedOn)
    expect(part.offset).toBeLessThanOrEqual(SIZE)
  }
  return Buffer.concat(chunks)
}

const expectContent = (bytes: Uint8Array, offset = 0) =>
  expect(Buffer.from(content.subarray(offset)).equals(bytes)).toBe(true)

describe('parallel ranges', () => {
  it('fetch one range alone, then several at a time, each byte once, in order', async () => {
    const { now, clock } = independent()
    const source = host(() => ({ clock }))
    expectContent(await fetched(source, { now }))
    expect(source.most()).toBe(4)
    expect(source.asked[0]).toEqual([0, RANGE])
    const sorted = source.asked.toSorted(([a], [b]) => a - b)
    expect(sorted.map(([offset]) => offset)).toEqual(
      Array.from({ length: 13 }, (_, i) => i * RANGE),
    )
    expect(source.asked.every(([offset, end]) => end - offset <= RANGE)).toBe(true)
  })

  it('leave the rest to one connection when they are no faster', async () => {
    const { now, clock } = shared()
    const source = host(() => ({ clock }))
    expectContent(await fetched(source, { now }))
    expect(source.most()).toBeGreaterThan(1)
    expect(source.asked.at(-1)).toEqual([expect.any(Number), SIZE])
    expect(source.asked.length).toBeLessThan(14)
    expect((source.asked.at(-1)?.[0] ?? SIZE) < SIZE - RANGE).toBe(true)
  })

  it('are not tried when one connection is as fast as the processor', async () => {
    const source = host()
    expectContent(await fetched(source, { now: () => 0 }))
    expect(source.asked).toEqual([
      [0, RANGE],
      [RANGE, SIZE],
    ])
  })

  it('take everything from the first answer where the registry ignores ranges', async () => {
    const source = host(() => ({ whole: true }))
    expectContent(await fetched(source))
    expect(source.asked).toEqual([[0, RANGE]])
  })

  it('go on from an offset, and pass over what they get twice', async () => {
    const { now, clock } = independent()
    const source = host((nth) => ({ clock, whole: nth === 1 }))
    expectContent(await fetched(source, { offset: 333, now }), 333)
    expect(source.asked).toEqual([[333, 433]])
  })

  it('are given up when the registry says that they are too many', async () => {
    const { now, clock } = independent()
    const source = host((nth) => (nth === 3 ? { failure: refused() } : { clock }))
    expectContent(await fetched(source, { now }))
    expect(source.asked.at(-1)).toEqual([500, SIZE])
  })

  it('go on where they were cut off', async () => {
    const { now, clock } = independent()
    const retries: number[] = []
    const source = host((nth) => ({ clock, ...(nth % 3 === 0 ? { cutAt: 30 } : {}) }))
    const onRetry = ({ attempt }: { attempt: number }) => retries.push(attempt)
    expectContent(await fetched(source, { now, onRetry }))
    expect(retries.length).toBeGreaterThan(2)
    expect(source.asked.some(([offset]) => offset % RANGE === 30)).toBe(true)
  })

  it('fail with what the range that is next fails with', async () => {
    const { now, clock } = independent()
    const source = host((nth) => (nth > 1 ? { failure: broken() } : { clock }))
    await expect(fetched(source, { now })).rejects.toMatchObject({
      code: 'ERR_REGISTRY_UNREACHABLE',
    })
    expect(source.reading()).toBe(0)
  })

  it('leave no connection behind when nobody wants the rest', async () => {
    const { now, clock } = independent()
    const source = host(() => ({ clock }))
    const part = { offset: 0, end: SIZE }
    const options = { connections: () => 4, rangeBytes: RANGE, now }
    let seen = 0
    for await (const chunk of parallelBytes(source.open, part, options)) {
      seen += chunk.byteLength
      if (seen > 250) break
    }
    expect(source.most()).toBeGreaterThan(1)
    expect(source.reading()).toBe(0)
  })

  it('never have more ranges in memory than there may be connections', async () => {
    const { now, clock } = independent()
    const source = host(() => ({ clock }))
    const part = { offset: 0, end: SIZE }
    const options = { connections: () => 3, rangeBytes: RANGE, now }
    let seen = 0
    for await (const chunk of parallelBytes(source.open, part, options)) {
      seen += chunk.byteLength
      for (let n = 0; n < 200; n++) await turn() // a slow reader
      const furthest = Math.max(...source.asked.map(([, end]) => end))
      expect(furthest - seen).toBeLessThanOrEqual(3 * RANGE)
      if (seen > 600) break
    }
  })

  it('are the right bytes whatever breaks', async () => {
    const fault = fc.record(
      {
        cutAt: fc.integer({ min: 0, max: 120 }),
        whole: fc.boolean(),
        failure: fc.constantFrom(broken(), refused()),
      },
      { requiredKeys: [] },
    )
    const plan = fc.array(fc.option(fault, { nil: undefined, freq: 2 }), { maxLength: 12 })
    await fc.assert(
      fc.asyncProperty(
        plan,
        fc.tuple(fc.nat(SIZE), fc.nat(SIZE)),
        fc.integer({ min: 1, max: 400 }),
        fc.integer({ min: 1, max: 6 }),
        fc.boolean(),
        async (faults, bounds, rangeBytes, connections, isShared) => {
          const [offset = 0, end = SIZE] = bounds.toSorted((a, b) => a - b)
          const { now, clock } = isShared ? shared() : independent()
          const source = host((nth) => ({ clock, ...faults[nth - 1] }))
          const policy = { attempts: 20, baseMs: 0 }
          const settings = { offset, end, rangeBytes, connections: () => connections, now, policy }
          // What a registry without ranges sends again is read and dropped: it says nothing about memory.
          const isWhole = faults.some((planned) => planned?.whole)
          const inMemory = connections * (rangeBytes + CHUNK)
          const bytes = await fetched(source, settings, (passedOn) => {
            if (!isWhole) expect(source.sent() - passedOn).toBeLessThanOrEqual(inMemory)
          })
          expect(Buffer.from(content.subarray(offset, end)).equals(bytes)).toBe(true)
          expect(source.most()).toBeLessThanOrEqual(connections)
          expect(source.reading()).toBe(0)
        },
      ),
      { numRuns: 100 },
    )
  })
})

describe('a blob', () => {
  it('comes by one connection and without ranges if it is small', async () => {
    const source = host()
    const part = { offset: 0, end: SIZE }
    const chunks = []
    for await (const chunk of blobBytes(source.open, part, { connections: () => 4 })) {
      chunks.push(chunk)
    }
    expectContent(Buffer.concat(chunks))
    expect(source.asked).toEqual([[0, SIZE]])
  })
})
