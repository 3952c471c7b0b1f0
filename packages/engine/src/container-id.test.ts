import { expect, test } from 'vitest'
import { createContainerId, shortId } from './container-id.ts'

test('an id is 64 hex digits, and people see 12 of them', () => {
  const id = createContainerId()
  expect(id).toMatch(/^[0-9a-f]{64}$/)
  expect(shortId(id)).toBe(id.slice(0, 12))
  expect(createContainerId()).not.toBe(id)
})

test('an id whose short form is all digits is drawn again', () => {
  const draws = ['1'.repeat(64), `${'2'.repeat(12)}${'a'.repeat(52)}`, 'b'.repeat(64)]
  expect(createContainerId(() => Buffer.from(draws.shift() ?? '', 'hex'))).toBe('b'.repeat(64))
})
