import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Challenge, parseChallenges, wantsScope } from './challenge.ts'

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
    [
      'Bearer realm=https://auth.example/token?x=1,service=registry.example',
      [
        {
          scheme: 'bearer',
          parameters: { realm: 'https://auth.example/token?x=1', service: 'registry.example' },
        },
      ],
    ],
    [
      'Bearer realm="x" service="y", Basic realm="z"',
      [
        { scheme: 'bearer', parameters: { realm: 'x', service: 'y' } },
        { scheme: 'basic', parameters: { realm: 'z' } },
      ],
    ],
    [
      'Basic abc=, Bearer realm=x',
      [
        { scheme: 'basic', parameters: {}, token68: 'abc=' },
        { scheme: 'bearer', parameters: { realm: 'x' } },
      ],
    ],
    [
      'Bearer realm="x",constructor="y"',
      [{ scheme: 'bearer', parameters: { realm: 'x', constructor: 'y' } }],
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
    expect(parseChallenges('Basic realm="x" Bearer realm="y"')).toMatchObject([
      { scheme: 'basic', parameters: { realm: 'x' } },
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

  it('never throws, whatever the bytes', () => {
    const junk = fc.oneof(
      fc.string({ maxLength: 300 }),
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.stringMatching(/^[a-zB="\\, \t/+;%é]{0,300}$/),
    )
    fc.assert(
      fc.property(junk, challenges(), (text, good) => {
        parseChallenges(text)
        // What comes after cannot undo what was understood before.
        const [first] = parseChallenges(`${format(good)}, ${text}`)
        expect(first?.scheme).toBe(good.scheme)
        expect(parseChallenges([text, format(good)]).at(-1)).toEqual(good)
      }),
      { numRuns: 500 },
    )
  })

  it.each([
    ['parameters without an end', 'a="'],
    ['commas', ' ,'],
    ['equals signs', '='],
    ['schemes', 'a '],
    ['schemes and commas', 'a,'],
    ['escapes', '\\"'],
    ['open quotes', 'a="\\'],
    ['token68', 'a a==,'],
    ['parameters', 'a=b,'],
    ['parameters without commas', 'a=b '],
    ['spaces', 'a \t '],
  ])('takes no longer than the length of %s allows', (_, piece) => {
    // Time that grows with the square is 64 times as long for 8 times the length.
    const time = (length: number) => {
      const text = `a ${piece.repeat(length / piece.length)}`.slice(0, length)
      const start = performance.now()
      for (let run = 0; run < 5; run++) parseChallenges(text)
      return performance.now() - start
    }
    time(2000)
    expect(time(16_000)).toBeLessThan(200 + time(2000) * 32)
  })
})

describe('wantsScope', () => {
  it.each([
    ['Bearer error="insufficient_scope",scope="a:b:c"', true],
    ['Bearer error="insufficient_scope"', false],
    ['Bearer error="invalid_token",scope="a:b:c"', false],
    ['Basic error="insufficient_scope",scope="a:b:c"', false],
  ])('%s: %j', (header, wants) => {
    expect(wantsScope(parseChallenges(header))).toBe(wants)
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
