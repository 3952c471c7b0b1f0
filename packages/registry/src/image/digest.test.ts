import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { digestOf, isDigest, parseDigest, Verifier, verifyBytes, verifyStream } from './digest.ts'

const bytes = Buffer.from('some bytes')
const expected = { digest: digestOf(bytes), size: bytes.length }
const mismatch = expect.objectContaining({ code: 'ERR_REGISTRY_DIGEST_MISMATCH' })
const wrongSize = expect.objectContaining({ code: 'ERR_REGISTRY_SIZE_MISMATCH' })

describe('parseDigest', () => {
  it('splits sha256 and sha512', () => {
    const hex = createHash('sha512').update(bytes).digest('hex')
    expect(parseDigest(expected.digest)).toEqual({
      algorithm: 'sha256',
      hex: createHash('sha256').update(bytes).digest('hex'),
    })
    expect(parseDigest(digestOf(bytes, 'sha512'))).toEqual({ algorithm: 'sha512', hex })
  })

  it.each([
    '',
    'sha256:',
    'sha256:../../../etc/passwd',
    `sha256:${'A'.repeat(64)}`,
    `sha256:${'a'.repeat(63)}`,
    `sha256:${'a'.repeat(128)}`,
    `sha512:${'a'.repeat(64)}`,
    `md5:${'a'.repeat(32)}`,
    `sha256:${'a'.repeat(64)}\n`,
    `x/sha256:${'a'.repeat(64)}`,
    'constructor:aaaa',
  ])('refuses %j', (text) => {
    expect(isDigest(text)).toBe(false)
    expect(() => parseDigest(text)).toThrow(
      expect.objectContaining({ code: 'ERR_REGISTRY_BAD_DIGEST' }),
    )
  })

  it('accepts nothing that could leave a directory', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        if (isDigest(text)) expect(parseDigest(text).hex).toMatch(/^[0-9a-f]+$/)
      }),
    )
  })
})

describe('verification', () => {
  it('accepts the right bytes, however they are cut', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.array(fc.nat(50)), (content, cuts) => {
        const verifier = new Verifier({ digest: digestOf(content), size: content.length })
        let position = 0
        for (const cut of cuts) {
          verifier.update(content.subarray(position, position + cut))
          position = Math.min(position + cut, content.length)
        }
        verifier.update(content.subarray(position))
        verifier.finish()
        expect(verifier.size).toBe(content.length)
      }),
    )
  })

  it('tells the digests apart in the error', () => {
    const other = Buffer.from('same bytes')
    expect(() => verifyBytes(other, expected)).toThrow(
      expect.objectContaining({ expected: expected.digest, actual: digestOf(other) }),
    )
  })

  it('refuses fewer bytes at the end and more bytes at once', () => {
    const verifier = new Verifier(expected)
    verifier.update(bytes.subarray(1))
    expect(() => verifier.finish()).toThrow(wrongSize)
    expect(() => verifier.update(bytes)).toThrow(wrongSize)
  })

  it('starts anew after a reset', () => {
    const verifier = new Verifier(expected)
    verifier.update(Buffer.from('zzz'))
    verifier.reset()
    verifier.update(bytes)
    verifier.finish()
  })

  it('works for sha512', () => {
    verifyBytes(bytes, { digest: digestOf(bytes, 'sha512'), size: bytes.length })
  })

  it('passes a stream through and judges it at its end', async () => {
    expect(await collect(verifyStream(stream('some', ' bytes'), expected))).toBe('some bytes')
    await expect(collect(verifyStream(stream('same', ' bytes'), expected))).rejects.toEqual(
      mismatch,
    )
    await expect(collect(verifyStream(stream('some'), expected))).rejects.toEqual(wrongSize)
    await expect(collect(verifyStream(stream('some bytes', '!'), expected))).rejects.toEqual(
      wrongSize,
    )
  })
})

async function* stream(...parts: string[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield Buffer.from(part)
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<string> {
  let text = ''
  for await (const chunk of source) text += Buffer.from(chunk).toString()
  return text
}
