import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { requiresProgram } from '@cromwell/test-support'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decompress, sniffCompression } from './decompress.ts'
import { chunks } from './trees.test.fixture.ts'
import { zstdFrames } from './zstd-frames.ts'

const content = Buffer.from('all that is in a layer. '.repeat(5000))

async function unpacked(bytes: Buffer, chunkSize?: number): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const chunk of decompress(chunks(bytes, chunkSize))) parts.push(Buffer.from(chunk))
  return Buffer.concat(parts)
}

test('plain bytes pass unchanged, however few they are', async () => {
  for (const text of ['', 'a', 'abc', 'abcdefgh'])
    expect((await unpacked(Buffer.from(text), 1)).toString()).toBe(text)
})

test('a compression is known by its magic number', () => {
  expect(sniffCompression(Buffer.from([0x1f, 0x8b, 8, 0]))).toBe('gzip')
  expect(sniffCompression(Buffer.from([0x28, 0xb5, 0x2f, 0xfd]))).toBe('zstd')
  expect(sniffCompression(Buffer.from([0x50, 0x2a, 0x4d, 0x18]))).toBe('zstd')
  expect(sniffCompression(Buffer.from('./et'))).toBe('none')
})

describe('gzip', () => {
  const halves = [content.subarray(0, 50_000), content.subarray(50_000)]
  const members = halves.map((half) => gzipSync(half))

  test('several members are one stream, wherever the chunks end', async () => {
    const bytes = Buffer.concat(members)
    const sizes = fc.integer({ min: 1, max: bytes.length })
    await fc.assert(
      fc.asyncProperty(sizes, async (size) => {
        expect((await unpacked(bytes, size)).equals(content)).toBe(true)
      }),
      { numRuns: 30 },
    )
  })

  test('zeros after the end are padding', async () => {
    expect((await unpacked(Buffer.concat([...members, Buffer.alloc(4096)]))).equals(content)).toBe(
      true,
    )
  })

  test('a truncated stream is a typed error', async () => {
    const work = unpacked(gzipSync(content).subarray(0, -20))
    await expect(work).rejects.toMatchObject({ code: 'ERR_ROOTFS_TAR_TRUNCATED' })
  })

  test('a damaged stream is a typed error', async () => {
    const bytes = gzipSync(content)
    bytes[bytes.length - 6] = (bytes.at(-6) ?? 0) ^ 0xff
    await expect(unpacked(bytes)).rejects.toMatchObject({ code: 'ERR_ROOTFS_COMPRESSION' })
  })

  test('errors of the source pass unchanged', async () => {
    const failure = new Error('the connection broke')
    async function* source(): AsyncGenerator<Buffer> {
      yield gzipSync(content).subarray(0, 100)
      throw failure
    }
    const work = async () => {
      for await (const _ of decompress(source()));
    }
    await expect(work()).rejects.toBe(failure)
  })

  test('the source is closed when the reader stops early', async () => {
    let isClosed = false
    async function* source(): AsyncGenerator<Buffer> {
      try {
        for (;;) yield gzipSync(content)
      } finally {
        isClosed = true
      }
    }
    for await (const _ of decompress(source())) break
    expect(isClosed).toBe(true)
  })
})

describe('zstd', () => {
  const compress = (program: string, bytes: Buffer): Buffer =>
    execFileSync(program, ['-q', '-c'], { input: bytes })

  test('several frames, and frames to be skipped, are one stream', async (context) => {
    const zstd = requiresProgram(context, 'zstd')
    const skippable = Buffer.concat([
      Buffer.from([0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0]),
      Buffer.from('skip'),
    ])
    const frames = [
      compress(zstd, content.subarray(0, 50_000)),
      skippable,
      compress(zstd, content.subarray(50_000)),
      skippable,
    ]
    for (const size of [7, 1000, 1_000_000]) {
      expect((await unpacked(Buffer.concat(frames), size)).equals(content)).toBe(true)
    }
    expect((await unpacked(Buffer.concat([skippable, ...frames]))).equals(content)).toBe(true)
  })

  test('a truncated stream is a typed error', async (context) => {
    const bytes = compress(requiresProgram(context, 'zstd'), content)
    await expect(unpacked(bytes.subarray(0, -5))).rejects.toMatchObject({
      code: 'ERR_ROOTFS_TAR_TRUNCATED',
    })
  })

  test('a damaged stream is a typed error', async (context) => {
    const bytes = compress(requiresProgram(context, 'zstd'), content)
    bytes.fill(0xff, 5, 12)
    await expect(unpacked(bytes)).rejects.toMatchObject({ name: 'RootfsError' })
  })

  test('its frames are found whatever their headers look like', async (context) => {
    const zstd = requiresProgram(context, 'zstd')
    const run = Buffer.alloc(300_000, 'a')
    const random = randomBytes(300_000)
    const frames = [Buffer.alloc(0), content.subarray(0, 10), run, random, content].flatMap(
      (bytes) => [
        compress(zstd, bytes),
        execFileSync(zstd, ['-q', '-c', '--no-check', '--no-content-size'], { input: bytes }),
        execFileSync(zstd, ['-q', '-c', '-19', '--long'], { input: bytes }),
      ],
    )
    const found: Buffer[] = []
    for await (const frame of zstdFrames(chunks(Buffer.concat(frames), 999))) {
      const pieces: Buffer[] = []
      for await (const piece of frame) pieces.push(piece)
      found.push(Buffer.concat(pieces))
    }
    expect(found.map((frame) => frame.toString('hex'))).toEqual(
      frames.map((frame) => frame.toString('hex')),
    )
  })

  test('what follows a frame and is none is a typed error', async (context) => {
    const bytes = compress(requiresProgram(context, 'zstd'), content)
    const work = unpacked(Buffer.concat([bytes, Buffer.from('garbage, and not a frame')]))
    await expect(work).rejects.toMatchObject({ code: 'ERR_ROOTFS_COMPRESSION' })
  })
})
