import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Challenge, parseChallenges } from './challenge.ts'

describe('parseChallenges', () => {
  it.each<[string, Challenge[]]>([
    [
      'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push"',
      [
        {
          scheme: 'bearer',
          parameters: {
            realm: 'https://auth.example/token',
            service: 'registry.example',
            scope: 'repository:a/b:pull,push',
          },
        },
      ],
    ],
    [
      'Basic realm="a, Bearer realm=b"',
      [{ scheme: 'basic', parameters: { realm: 'a, Bearer realm=b' } }],
    ],
    [
      'Basic realm="x", Bearer realm="y", service=z',
      [
        { scheme: 'basic', parameters: { realm: 'x' } },
        { scheme: 'bearer', parameters: { realm: 'y', service: 'z' } },
      ],
    ],
    [
      'Negotiate, Basic realm=x',
      [
        { scheme: 'negotiate', parameters: {} },
        { scheme: 'basic', parameters: { realm: 'x' } },
      ],
    ],
    [
      'Negotiate YWJj/+==, NTLM',
      [
        { scheme: 'negotiate', parameters: {}, token68: 'YWJj/+==' },
        { scheme: 'ntlm', parameters: {} },
      ],
    ],
    ['  ,, BEARER  REALM = "x" ,, ', [{ scheme: 'bearer', parameters: { realm: 'x' } }]],
    ['Bearer realm="a\\"b\\\\c"', [{ scheme: 'bearer', parameters: { realm: 'a"b\\c' } }]],
    ['Bearer realm=a,realm=b', [{ scheme: 'bearer', parameters: { realm: 'a' } }]],
    [
      'Bearer error="insufficient_scope"',
      [{ scheme: 'bearer', parameters: { error: 'insufficient_scope' } }],
    ],
    ['', []],
    ['"', []],
  ])('reads %s', (header, challenges) => {
    expect(parseChallenges(header)).toEqual(challenges)
  })

  it('reads several headers, and none', () => {
    expect(
      parseChallenges(['Basic realm=x', 'Bearer realm=y']).map(({ scheme }) => scheme),
    ).toEqual(['basic', 'bearer'])
    expect(parseChallenges(undefined)).toEqual([])
  })

  it('keeps what stands before a syntax error', () => {
    expect(parseChallenges('Basic realm="x", Bearer realm="y')).toMatchObject([
      { scheme: 'basic', parameters: { realm: 'x' } },
      { scheme: 'bearer' },
    ])
    expect(parseChallenges('Basic realm="x" junk')).toMatchObject([{ parameters: { realm: 'x' } }])
  })

  it('ignores a header that is unreasonably long', () => {
    expect(parseChallenges(`Basic realm="${'x'.repeat(20_000)}"`)).toEqual([])
  })

  it('reads back whatever it may meet, quoted or not', () => {
    fc.assert(
      fc.property(fc.array(challenges(), { minLength: 1 }), fc.boolean(), (list, single) => {
        const headers = list.map(format)
        expect(parseChallenges(single ? headers.join(', ') : headers)).toEqual(list)
      }),
    )
  })

  it('never throws and never hangs', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z="\\, /+]{0,200}$/), (header) => {
        parseChallenges(header)
      }),
    )
    const start = performance.now()
    parseChallenges('a="'.repeat(5000))
    parseChallenges(`${' ,'.repeat(8000)}x`)
    parseChallenges(`a ${'='.repeat(16_000)}`)
    expect(performance.now() - start).toBeLessThan(1000)
  })
})

function challenges(): fc.Arbitrary<Challenge> {
  const token = fc.stringMatching(/^[a-z][a-z0-9_-]{0,8}$/)
  const value = fc.string({ unit: fc.constantFrom(...'ab ,="\\:/') })
  return fc.record({
    scheme: token,
    parameters: fc.dictionary(token, value, { noNullPrototype: true, maxKeys: 4 }),
  })
}

function format({ scheme, parameters }: Challenge): string {
  const quote = (text: string) => `"${text.replace(/["\\]/g, '\\$&')}"`
  const list = Object.entries(parameters).map(([name, value]) => `${name}=${quote(value)}`)
  return list.length === 0 ? scheme : `${scheme} ${list.join(', ')}`
}
