import { expect, test } from 'vitest'
import { parseCpus, parseMemory, parsePidsLimit } from './limit-flags.ts'

test.each([
  ['512m', 512 * 2 ** 20],
  ['512M', 512 * 2 ** 20],
  ['1.5g', 1.5 * 2 ** 30],
  ['64MiB', 64 * 2 ** 20],
  ['7000kb', 7000 * 1024],
  ['100000000', 100_000_000],
])('-m %s', (text, bytes) => {
  expect(parseMemory(text)).toBe(bytes)
})

test.each(['', 'm', '-1', '5x', '1e9', '0x10', '1m', '99999999t'])('-m %j is no size', (text) => {
  expect(() => parseMemory(text)).toThrow(expect.objectContaining({ code: 'ERR_CLI_USAGE' }))
})

test('processors and processes', () => {
  expect(['1.5', '.5', '2'].map(parseCpus)).toEqual([1.5, 0.5, 2])
  for (const text of ['', '0', '-1', '1,5', 'two']) expect(() => parseCpus(text)).toThrow('--cpus')
  expect(['100', '0', '-1'].map(parsePidsLimit)).toEqual([100, undefined, undefined])
  for (const text of ['', '1.5', '-2', 'many', '9999999']) {
    expect(() => parsePidsLimit(text)).toThrow('--pids-limit')
  }
})
