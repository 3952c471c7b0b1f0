import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isHost, isPrefix, parseLocation, restAfter } from './location.ts'

describe('parseLocation', () => {
  it.each([
    ['registry.example', 'registry.example', ''],
    ['registry.example:5000', 'registry.example:5000', ''],
    ['localhost:5000/a', 'localhost:5000', 'a'],
    ['[::1]:5000/a', '[::1]:5000', 'a'],
    ['registry.example/team/app', 'registry.example', 'team/app'],
    ['registry.example/team/', 'registry.example', 'team'],
  ])('reads %s', (text, registry, path) => {
    expect(parseLocation(text)).toEqual({ registry, path })
  })

  it.each([
    '',
    '/a',
    'https://registry.example',
    'registry.example/Team',
    'registry.example/a//b',
    'registry.example/../b',
    '..',
    '../a',
    'a..b/c',
    'user@registry.example/a',
    'registry.example:port',
    'registry.example?x=y',
    '*.example',
  ])('refuses %s', (text) => {
    expect(parseLocation(text)).toBeUndefined()
  })

  it('gives hosts that are safe as names of directories', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('.', '/', '\\', ':', 'a', '[', ']', '\0') }),
        (text) => {
          if (!isHost(text)) return
          expect(text).not.toMatch(/[/\\\0]|^\.|\.\./)
        },
      ),
    )
  })
})

describe('isPrefix', () => {
  it.each([
    'example.com',
    'example.com:5000/a/b',
    '*.example.com',
    'example.com/a/b:1.0',
    `example.com/a@sha256:${'0'.repeat(64)}`,
  ])('takes %s', (text) => {
    expect(isPrefix(text)).toBe(true)
  })

  it.each([
    '*',
    '*.',
    'example.*.com',
    '*.example.com/foo',
    '*.example.com:5000',
    'http://a/b',
    '',
  ])('refuses %s', (text) => {
    expect(isPrefix(text)).toBe(false)
  })
})

describe('restAfter', () => {
  it.each([
    ['example.com', 'example.com/foo/bar', '/foo/bar'],
    ['example.com/foo', 'example.com/foo/bar', '/bar'],
    ['example.com/foo', 'example.com/foo', ''],
    ['example.com/foo', 'example.com/foobar', undefined],
    ['example.com', 'example.com.evil/foo', undefined],
    ['example.com', 'example.com:5000/foo', undefined],
    ['example.com:5000', 'example.com:5000/foo', '/foo'],
    ['*.example.com', 'a.example.com/foo', '/foo'],
    ['*.example.com', 'b.a.example.com/foo', '/foo'],
    ['*.example.com', 'a.example.com:5000/foo', '/foo'],
    ['*.example.com', 'example.com/foo', undefined],
    ['*.example.com', 'aexample.com/foo', undefined],
    ['*.example.com', 'a.example.com.evil/foo', undefined],
    ['*.example.com', 'evil.org/a.example.com/foo', undefined],
  ])('of %s in %s is %s', (prefix, name, rest) => {
    expect(restAfter(prefix, name)).toBe(rest)
  })

  it('and the prefix are the name, cut at a separator', () => {
    const part = fc.stringMatching(/^[a-z0-9]{1,3}$/)
    const name = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'))
    fc.assert(
      fc.property(name, name, (prefix, text) => {
        const rest = restAfter(prefix, text)
        expect(rest !== undefined).toBe(`${text}/`.startsWith(`${prefix}/`))
        if (rest !== undefined) expect(`${prefix}${rest}`).toBe(text)
      }),
    )
  })
})
