import { expect, it } from 'vitest'
import { formatSize } from './size.ts'

it.each([
  [0, '0B'],
  [999, '999B'],
  [1000, '1kB'],
  [1234, '1.234kB'],
  [3_408_729, '3.409MB'],
  [109_234_567, '109.2MB'],
  [999_999, '1MB'],
  [29_126_484_000, '29.13GB'],
  [7e18, '7000PB'],
])('prints %d bytes as %s', (bytes, text) => {
  expect(formatSize(bytes)).toBe(text)
})

it('keeps to three digits where a table asks for it', () => {
  expect(formatSize(7_797_760, 3)).toBe('7.8MB')
  expect(formatSize(109_234_567, 3)).toBe('109MB')
})
