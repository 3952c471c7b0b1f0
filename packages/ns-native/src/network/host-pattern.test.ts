import fc from 'fast-check'
import { expect, test } from 'vitest'
import { canonicalHost, formatAuthority, parseAuthority } from './host-name.ts'
import { HostPattern } from './host-pattern.ts'

test.each([
  ['Example.ORG', 'example.org'],
  ['example.org.', 'example.org'],
  ['my_service', 'my_service'],
  ['127.1', '127.0.0.1'],
  ['0x7f000001', '127.0.0.1'],
  ['2130706433', '127.0.0.1'],
  ['0177.0.0.1', '127.0.0.1'],
  ['[::1]', '::1'],
  ['[0:0::0:1]', '::1'],
  ['[::ffff:127.0.0.1]', '127.0.0.1'],
  ['[::FFFF:7f00:1]', '127.0.0.1'],
])('the host %s is %s', (text, host) => {
  expect(canonicalHost(text)).toBe(host)
})

test.each([
  '',
  '.',
  '..',
  'a..b',
  '.a',
  'a b',
  'a/b',
  'a@b',
  'a%2eb',
  'a\\b',
  'a\0b',
  'a\nb',
  '::1',
  '[::1',
  '[fe80::1%lo]',
  '[127.0.0.1]',
  '1.2.3.256',
  '1.2.3.4.5',
  'exämple.org',
  'x'.repeat(254),
])('the host %j is none', (text) => {
  expect(canonicalHost(text)).toBeUndefined()
})

test('an authority is a host and a port, and nothing more', () => {
  expect(parseAuthority('example.org:443')).toEqual({ host: 'example.org', port: 443 })
  expect(parseAuthority('[::1]:8080')).toEqual({ host: '::1', port: 8080 })
  expect(parseAuthority('example.org', 80)).toEqual({ host: 'example.org', port: 80 })
  for (const text of [
    'example.org',
    'example.org:',
    'example.org:0',
    'example.org:65536',
    'example.org:443x',
    'example.org:+443',
    'example.org: 443',
    'user@example.org:443',
    'example.org:443/',
    'a:b:443',
    '::1:443',
    '[::1]x:443',
    ':443',
  ]) {
    expect([text, parseAuthority(text)]).toEqual([text, undefined])
  }
})

test('property: an authority that is accepted reads the same when it is written and read again', () => {
  const piece = fc.constantFrom(
    'a',
    '1',
    '.',
    ':',
    '[',
    ']',
    '-',
    '0x',
    '::',
    '127',
    '@',
    '%',
    ' ',
    '443',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const read = parseAuthority(pieces.join(''), 80)
      if (read !== undefined) expect(parseAuthority(formatAuthority(read))).toEqual(read)
    }),
  )
})

const matches = (pattern: string, ...authorities: string[]) =>
  authorities.map((text) => {
    const target = parseAuthority(text)
    return target !== undefined && new HostPattern(pattern).matches(target)
  })

test('a name is that name on the ports of the web', () => {
  expect(matches('example.org', 'example.org:443', 'EXAMPLE.org.:80')).toEqual([true, true])
  expect(
    matches(
      'example.org',
      'example.org:22',
      'www.example.org:443',
      'xexample.org:443',
      'example.org.evil.net:443',
    ),
  ).toEqual([false, false, false, false])
})

test('a star is every name below, and not the name itself', () => {
  expect(matches('*.example.org', 'a.example.org:443', 'b.a.example.org:80')).toEqual([true, true])
  expect(
    matches('*.example.org', 'example.org:443', 'xexample.org:443', 'a.example.org:22'),
  ).toEqual([false, false, false])
  expect(matches('*', 'anything.test:443', '[::1]:80', 'anything.test:22')).toEqual([
    true,
    true,
    false,
  ])
})

test('a port is that port, and a star every port', () => {
  expect(matches('example.org:22', 'example.org:22', 'example.org:443')).toEqual([true, false])
  expect(matches('example.org:*', 'example.org:22', 'example.org:443')).toEqual([true, true])
  expect(matches('[::1]:80', '[::1]:80', '[::2]:80')).toEqual([true, false])
  expect(matches('::1', '[::1]:80')).toEqual([true])
})

test('a name of other letters is the name that is sent', () => {
  expect(matches('bücher.example', 'xn--bcher-kva.example:443')).toEqual([true])
})

test('only who names an address has meant it', () => {
  expect(new HostPattern('127.0.0.1:80').means('127.0.0.1')).toBe(true)
  expect(new HostPattern('localhost').means('127.0.0.1')).toBe(true)
  expect(new HostPattern('localhost').means('10.0.0.1')).toBe(false)
  expect(new HostPattern('*').means('127.0.0.1')).toBe(false)
  expect(new HostPattern('example.org').means('127.0.0.1')).toBe(false)
})

test.each([
  '',
  '*.',
  '*x.org',
  'a.*',
  '*.1.2.3.4',
  'https://example.org',
  'example.org/path',
  'a:0',
  'a:65536',
  'a b',
])('%j is no pattern', (pattern) => {
  expect(() => new HostPattern(pattern)).toThrow(TypeError)
})
