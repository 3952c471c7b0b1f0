import { expect, test } from 'vitest'
import { parseSignal, signalExitCode } from './signal.ts'

test.each([
  ['SIGTERM', 15],
  ['term', 15],
  ['9', 9],
  ['SIGRTMIN', 34],
  ['RTMIN+3', 37],
  ['rtmax-1', 63],
  ['64', 64],
])('%s is signal %i', (text, number) => {
  expect(parseSignal(text)).toBe(number)
})

test.each(['', '0', '65', 'SIGNOPE', 'RTMIN+40', '-9', '1.5', 'constructor'])(
  '%j is no signal',
  (text) => {
    expect(parseSignal(text)).toBeUndefined()
  },
)

test('a death by signal n gives 128 + n', () => {
  expect(signalExitCode('SIGKILL')).toBe(137)
})
