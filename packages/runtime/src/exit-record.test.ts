import { expect, test } from 'vitest'
import { parseExitRecord } from './exit-record.ts'

test('an exit code, a signal and a time are read; unknown keys are ignored', () => {
  expect(parseExitRecord('exit-code=3\nfinished-at=2026-01-02T03:04:05Z\nnew-key=1\n')).toEqual({
    exitCode: 3,
    finishedAt: '2026-01-02T03:04:05Z',
  })
  expect(parseExitRecord('signal=SIGKILL\n')).toEqual({ signal: 'SIGKILL' })
})

test('a damaged record says less, never something else', () => {
  expect(parseExitRecord('exit-code=\0\0')).toEqual({})
  expect(parseExitRecord('exit-code=-1\nexit-code=abc\n\n===')).toEqual({})
  expect(parseExitRecord('')).toEqual({})
})
