import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { withoutFirst } from './pieces.ts'

describe('withoutFirst', () => {
  it('leaves exactly the bytes behind the first ones', () => {
    const pieces = fc.array(fc.uint8Array({ maxLength: 5 }), { maxLength: 6 })
    fc.assert(
      fc.property(pieces, fc.nat(30), (given, bytes) => {
        const expected = Buffer.concat(given).subarray(bytes)
        const left = withoutFirst(given, bytes)
        expect(expected.equals(Buffer.concat(left))).toBe(true)
        expect(left.every(({ byteLength }) => byteLength > 0)).toBe(true)
      }),
    )
  })
})
