import { expect, test } from 'vitest'
import { isPattern, parsePattern } from './glob.ts'

const matches = (pattern: string, path: string, base = '/home') =>
  parsePattern(pattern, base, '/files/hide/0').matches(path)

test.each([
  ['*.pem', '/home/key.pem'],
  ['*.pem', '/home/.pem'],
  ['a?c', '/home/abc'],
  ['[ab].txt', '/home/b.txt'],
  ['[!ab].txt', '/home/c.txt'],
  ['{a,b}.txt', '/home/a.txt'],
  ['./keys/*', '/home/keys/one'],
  ['sub/**/x', '/home/sub/x'],
  ['sub/**/x', '/home/sub/a/b/x'],
  ['**/.env', '/anywhere/at/all/.env'],
  ['**/.env', '/.env'],
  ['/etc/**', '/etc/a/b'],
  ['**/.git/hooks', '/p/.git/hooks'],
  ['a.b*', '/home/a.bc'],
])('%s matches %s', (pattern, path) => {
  expect(matches(pattern, path)).toBe(true)
})

test.each([
  ['*.pem', '/home/sub/key.pem'],
  ['*.pem', '/home/keyXpem'],
  ['a?c', '/home/a/c'],
  ['[!ab].txt', '/home/a.txt'],
  ['{a,b}.txt', '/home/c.txt'],
  ['**/.env', '/home/x.env'],
  ['**/.env', '/home/.env.local'],
  ['sub/**/x', '/home/subx/x'],
  ['a.b*', '/home/aXb'],
])('%s does not match %s', (pattern, path) => {
  expect(matches(pattern, path)).toBe(false)
})

test('the directory that a pattern is relative to is no pattern', () => {
  expect(matches('*.x', '/h[o]me/a.x', '/h[o]me')).toBe(true)
  expect(matches('*.x', '/home/a.x', '/h[o]me')).toBe(false)
})

test.each([
  ['a**', 'must stand alone'],
  ['[a', 'not closed'],
  ['{a,b', 'not closed'],
  ['../*', '..'],
])('%s is refused, for it would be misunderstood', (pattern, why) => {
  expect(() => matches(pattern, '/x')).toThrow(
    expect.objectContaining({ pointer: '/files/hide/0', message: expect.stringContaining(why) }),
  )
})

test('a URL is never a pattern', () => {
  expect(isPattern('a*b')).toBe(true)
  expect(isPattern(new URL('file:///a*b'))).toBe(false)
})
