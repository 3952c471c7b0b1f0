import { expect, test } from 'vitest'
import { PolicyError } from '../errors.ts'
import { parseDuration, parseSize } from './quantities.ts'

test.each([
  [4096, 4096],
  ['4096', 4096],
  ['512M', 536_870_912],
  ['512m', 536_870_912],
  ['1.5G', 1_610_612_736],
  ['64 MiB', 67_108_864],
  ['10kB', 10_240],
])('the size %j is %d bytes', (given, bytes) => {
  expect(parseSize(given, '/x')).toBe(bytes)
})

test.each([
  [1500, 1500],
  ['500ms', 500],
  ['30s', 30_000],
  ['1.5m', 90_000],
  ['2h', 7_200_000],
])('the duration %j is %d ms', (given, ms) => {
  expect(parseDuration(given, '/x')).toBe(ms)
})

test.each(['', '-1', 'M', '1X', '1e3', '0', 0, -5, Number.NaN, 1.5e300, '5 minutes', '１M'])(
  '%j is neither, and says where it stands',
  (given) => {
    for (const parse of [parseSize, parseDuration]) {
      const attempt = () => parse(given, '/limits/memory')
      expect(attempt).toThrow(PolicyError)
      expect(attempt).toThrow(expect.objectContaining({ pointer: '/limits/memory' }))
    }
  },
)

test('a duration in a string has a unit: 30 could be seconds', () => {
  expect(() => parseDuration('30', '/limits/wall')).toThrow(/such as '30s'/)
})
