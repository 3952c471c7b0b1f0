import { Readable } from 'node:stream'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { parseChallenges } from './auth/challenge.ts'
import { nextLink } from './client/pagination.ts'
import { createRateLimits } from './client/rate-limit.ts'
import { createBench, listOf } from './client/servers.test.fixture.ts'
import { isRegistryError } from './errors.ts'
import { parseRetryAfter } from './http/retry.ts'
import { digestOf } from './image/digest.ts'
import { parseImageConfig } from './image/image-config.ts'
import { parseManifest } from './image/manifest.ts'
import { MEDIA_TYPES } from './image/media-types.ts'
import { parseReference } from './image/reference.ts'
import { makeImage, makeIndex, makeLayer } from './testing/index.ts'

// Documents and headers that were right once, and were then tampered with: a typed error, or something usable.
const layer = makeLayer({ file: 'content' })
const image = makeImage({ layers: [layer], annotations: { a: 'b' } })
const { index } = makeIndex([image])
const documents = [image.manifest, index, image.config].map(({ bytes }) => bytes)
const RUNS = { numRuns: 400 }
/** Far more than any of them takes, even where the processor has other things to do. */
const SLOW_MS = 5_000
const { connect, serve, close } = createBench()

afterEach(close)

/** Values that mean something where they should not be. */
const odd = fc.oneof(
  fc.constantFrom<unknown>(null, true, -1, 1e308, 2 ** 53, '', '../..', [], {}, [[]]),
  fc.constantFrom('__proto__', 'constructor', '\u0000', '\u001b[31m', 'sha256:', 'x'.repeat(1e5)),
  fc.constantFrom(digestOf(Buffer.of()), ...Object.values(MEDIA_TYPES)),
  fc.jsonValue({ maxDepth: 3 }),
)

/** A document with some members replaced, doubled, added or left out, as text. */
function tampered(): fc.Arbitrary<Buffer> {
  const edit = fc.record({
    at: fc.nat(1000),
    value: odd,
    how: fc.constantFrom('replace', 'remove', 'pollute', 'nest'),
  })
  return fc
    .tuple(fc.constantFrom(...documents), fc.array(edit, { minLength: 1, maxLength: 4 }))
    .map(([bytes, edits]) => {
      let text = `${bytes}`
      for (const { at, value, how } of edits) text = edited(text, at, value, how)
      return Buffer.from(text)
    })
}

function edited(text: string, at: number, value: unknown, how: string): string {
  const places = [...text.matchAll(/"(\w+)":("[^"]*"|\d+|(?=[[{]))/g)]
  const place = places[at % Math.max(places.length, 1)]
  if (place === undefined) return text
  const [whole, key, old = ''] = place
  const json = JSON.stringify(value)
  const next = {
    replace: old === '' ? `"${key}":${json},"was":` : `"${key}":${json}`,
    remove: old === '' ? '"was":' : '"was":0',
    pollute: `"__proto__":{"polluted":${json},"size":1,"mediaType":"x"},${whole}`,
    nest: `"${key}":${'['.repeat(500)}${']'.repeat(500)},"was":${old || ''}`,
  }[how]
  return text.slice(0, place.index) + (next ?? '') + text.slice(place.index + whole.length)
}

/** Bytes that were cut, overwritten or put together. */
function damaged(): fc.Arbitrary<Buffer> {
  const pieces = fc.tuple(
    fc.constantFrom(...documents),
    fc.nat(400),
    fc.uint8Array({ maxLength: 8 }),
    fc.boolean(),
  )
  return pieces.map(([bytes, at, junk, rest]) =>
    Buffer.concat([bytes.subarray(0, at), junk, rest ? bytes.subarray(at) : Buffer.of()]),
  )
}

/** The result, or undefined for a typed error; anything else is thrown. */
function attempt<T>(action: () => T): T | undefined {
  try {
    return action()
  } catch (error) {
    if (isRegistryError(error)) return undefined
    throw error
  }
}

function expectUnpolluted(): void {
  expect(Reflect.get({}, 'polluted')).toBeUndefined()
  expect(Object.keys(Object.prototype)).toEqual([])
}

describe('documents that were tampered with', () => {
  const type = fc.option(fc.oneof(fc.constantFrom(...Object.values(MEDIA_TYPES)), fc.string()), {
    nil: undefined,
  })

  it('are a typed error, or manifests whose every descriptor can be trusted', () => {
    const start = performance.now()
    fc.assert(
      fc.property(fc.oneof(tampered(), damaged()), type, (bytes, mediaType) => {
        const parsed = attempt(() => parseManifest(bytes, mediaType))
        expectUnpolluted()
        if (parsed === undefined) return
        const descriptors =
          parsed.kind === 'index' ? parsed.manifests : [parsed.config, ...parsed.layers]
        for (const { digest, size, mediaType: own } of descriptors) {
          expect(digest).toMatch(/^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/)
          expect(Number.isSafeInteger(size) && size >= 0).toBe(true)
          expect(typeof own).toBe('string')
        }
        expect(Reflect.get(parsed, 'polluted')).toBeUndefined()
      }),
      RUNS,
    )
    expect(performance.now() - start).toBeLessThan(SLOW_MS * 4)
  })

  it('are a typed error, or configurations of the right types', () => {
    fc.assert(
      fc.property(fc.oneof(tampered(), damaged()), (bytes) => {
        const parsed = attempt(() => parseImageConfig(bytes))
        expectUnpolluted()
        if (parsed === undefined) return
        const { config = {} } = parsed
        const { Env = [], Cmd = [], Labels = {} } = config
        for (const text of [...Env, ...(Cmd ?? []), ...Object.values(Labels)]) {
          expect(typeof text).toBe('string')
        }
        expect(Reflect.get(config, 'polluted')).toBeUndefined()
      }),
      RUNS,
    )
  })

  it('do not exhaust the stack, however deep', () => {
    for (const open of ['[', '{"a":']) {
      const bytes = Buffer.from(`{"schemaVersion":2,"manifests":${open.repeat(500_000)}`)
      expect(attempt(() => parseManifest(bytes, MEDIA_TYPES.ociIndex))).toBeUndefined()
      expect(attempt(() => parseImageConfig(bytes))).toBeUndefined()
    }
  })
})

/** Headers as servers send them, put together from what means something in one of them, and junk. */
function headerText(): fc.Arbitrary<string> {
  const piece = fc.oneof(
    fc.constantFrom('<', '>', '; rel="next"', ',', '"', '\\', '=', ' ', ';w=', 'bytes ', '-', '/'),
    fc.constantFrom(
      'Bearer realm="http://h/t"',
      'Basic',
      'scope=',
      '299 - "',
      '*',
      '__proto__="x"',
    ),
    fc.constantFrom('100', '0', '-1', '9'.repeat(400), 'Wed, 21 Oct 2015 07:28:00 GMT', 'NaN'),
    fc.constantFrom('/v2/team/app/tags/list?last=b', 'http://[', '//evil.example/x', 'file:///x'),
    fc.constantFrom(digestOf(Buffer.of()), 'sha256:..', 'md5:0', 'text/html', ...HEADER_NAMES),
    fc.string({ unit: fc.integer({ min: 32, max: 126 }).map((code) => String.fromCharCode(code)) }),
  )
  return fc
    .array(piece, { maxLength: 12 })
    .map((pieces) => pieces.join('').trim())
    .filter((text) => text !== '')
}

const HEADER_NAMES = [
  ...['link', 'www-authenticate', 'content-range', 'retry-after', 'warning', 'ratelimit-limit'],
  ...['ratelimit-remaining', 'docker-ratelimit-source', 'docker-content-digest', 'content-type'],
  ...['oci-filters-applied', 'oci-subject', 'etag', 'docker-distribution-api-version', 'range'],
]

describe('headers that mean nothing', () => {
  it('give nothing, or what can be used', () => {
    const start = performance.now()
    fc.assert(
      fc.property(headerText(), headerText(), (text, other) => {
        const url = new URL('http://h/v2/team/app/tags/list')
        const headers = {
          link: [text, `<${other}>; rel="next"`],
          'ratelimit-limit': text,
          'ratelimit-remaining': other,
        }
        const answer = { status: 200, headers, url, body: Readable.from([]), cancel() {} }
        const link = nextLink(answer)
        expect(link === undefined || link instanceof URL).toBe(true)
        const delay = parseRetryAfter(text)
        expect(delay === undefined || (delay >= 0 && Number.isFinite(delay))).toBe(true)
        const limit = createRateLimits().note('h', { headers })
        expect(limit === undefined || Number.isSafeInteger(limit.remaining)).toBe(true)
        for (const { scheme } of parseChallenges([text, other])) expect(scheme).not.toBe('')
        expectUnpolluted()
      }),
      { numRuns: 2000 },
    )
    expect(performance.now() - start).toBeLessThan(SLOW_MS * 4)
  })

  it.for([
    ['<'.repeat(16_000), 'link'],
    ['<a>;'.repeat(4000), 'link'],
    [`<a>; ${'rel= '.repeat(3000)}`, 'link'],
    [`<a>; rel="${'x '.repeat(8000)}`, 'link'],
    ['Bearer a="\\'.repeat(1300), 'challenge'],
    [', '.repeat(8000), 'challenge'],
    [`Bearer ${'a=b '.repeat(4000)}`, 'challenge'],
  ] as const)('take time in proportion to their length: %#', ([text, kind]) => {
    const start = performance.now()
    const url = new URL('http://h/')
    if (kind === 'challenge') parseChallenges(text)
    else nextLink({ headers: { link: text }, url } as unknown as Parameters<typeof nextLink>[0])
    expect(performance.now() - start).toBeLessThan(SLOW_MS)
  })

  it('in real answers end in what was asked for or a typed error', async () => {
    const names = fc.subarray(HEADER_NAMES, { minLength: 1, maxLength: 4 })
    const status = fc.constantFrom(200, 200, 200, 206, 307, 400, 401, 404, 416, 429, 503)
    let answer: [number, Record<string, string>, unknown] = [200, {}, {}]
    const host = await serve(({ url }) => (url === '/v2/' ? [200] : answer))
    const client = connect({ retry: { attempts: 1 }, timeouts: { headersMs: 5000, bodyMs: 5000 } })
    const app = parseReference(`${host}/team/app:1`)
    await client.ping(host)
    await fc.assert(
      fc.asyncProperty(
        names,
        fc.array(headerText(), { minLength: 4 }),
        status,
        async (...input) => {
          const [chosen, texts, code] = input
          const headers = Object.fromEntries(chosen.map((name, i) => [name, texts[i] ?? 'x']))
          answer = [code, headers, { tags: ['1'], ...JSON.parse(`${image.manifest.bytes}`) }]
          const calls = [
            () => client.head(app),
            () => client.manifest(app),
            () => listOf(client.tags(app)),
            () => client.readBlob(app, { mediaType: 'x', digest: layer.digest, size: 9 }),
            () => client.openBlob(app, layer, { offset: 3, end: 5 }).then(({ cancel }) => cancel()),
          ]
          for (const call of calls) {
            const error = await call().then(
              () => undefined,
              (reason: unknown) => reason,
            )
            if (error !== undefined && !isRegistryError(error)) throw error
          }
          expectUnpolluted()
        },
      ),
      { numRuns: 60 },
    )
  })
})
