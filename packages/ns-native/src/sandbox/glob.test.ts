import { expect, test } from 'vitest'
import { isPattern, parsePattern } from './glob.ts'

const matches = (pattern: string, path: string, base = '/work') =>
  parsePattern(pattern, base, '/files/hide/0').matches(path)

test.each([
  ['*.pem', '/work/key.pem'],
  ['*.pem', '/work/.pem'],
  ['a?c', '/work/abc'],
  ['[ab].txt', '/work/b.txt'],
  ['[!ab].txt', '/work/c.txt'],
  ['{a,b}.txt', '/work/a.txt'],
  ['./keys/*', '/work/keys/one'],
  ['sub/**/x', '/work/sub/x'],
  ['sub/**/x', '/work/sub/a/b/x'],
  ['**/.env', '/anywhere/at/all/.env'],
  ['**/.env', '/.env'],
  ['/etc/**', '/etc/a/b'],
  ['**/.git/hooks', '/p/.git/hooks'],
  ['a.b*', '/work/a.bc'],
])('%s matches %s', (pattern, path) => {
  expect(matches(pattern, path)).toBe(true)
})

test.each([
  ['*.pem', '/work/sub/key.pem'],
  ['*.pem', '/work/keyXpem'],
  ['a?c', '/work/a/c'],
  ['[!ab].txt', '/work/a.txt'],
  ['{a,b}.txt', '/work/c.txt'],
  ['**/.env', '/work/x.env'],
  ['**/.env', '/work/.env.local'],
  ['sub/**/x', '/work/subx/x'],
  ['a.b*', '/work/aXb'],
])('%s does not match %s', (pattern, path) => {
  expect(matches(pattern, path)).toBe(false)
})

test('the directory that a pattern is relative to is no pattern', () => {
  expect(matches('*.x', '/w[o]rk/a.x', '/w[o]rk')).toBe(true)
  expect(matches('*.x', '/work/a.x', '/w[o]rk')).toBe(false)
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
