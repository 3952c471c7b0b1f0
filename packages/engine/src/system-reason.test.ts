import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { systemReason } from './system-reason.ts'

test('a failed system call is told in words, without its name and path', () => {
  const reasons = ['/nonexistent', '/'].map((path) => {
    try {
      return readFileSync(path)
    } catch (error) {
      return systemReason(error)
    }
  })
  expect(reasons).toEqual(['no such file or directory', 'illegal operation on a directory'])
})

test('anything else speaks for itself', () => {
  expect(systemReason(new Error('too blue'))).toBe('too blue')
  expect(systemReason('red')).toBe('red')
})
