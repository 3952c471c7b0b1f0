import { afterEach, describe, expect, it } from 'vitest'
import { digestOf } from '../image/digest.ts'
import { MEDIA_TYPES } from '../image/media-types.ts'
import { parseReference } from '../image/reference.ts'
import { makeImage } from '../testing/index.ts'
import { nextLink } from './pagination.ts'
import {
  createBench,
  listOf,
  type ScriptedAnswer,
  type SeenRequest,
} from './servers.test.fixture.ts'

const names = Array.from({ length: 25 }, (_, i) => `t${String(i).padStart(2, '0')}`)
const { start, connect, serve, close } = createBench()

afterEach(close)

describe('tags and repositories', () => {
  it.for([
    ['by links', []],
    ['by the last one where there are no links', [{ on: 'tags', type: 'no-link', times: 99 }]],
  ] as const)('are read page by page, %s', async ([, faults]) => {
    const { registry, client } = await start({ faults: [...faults] })
    const image = makeImage({ layers: [] })
    for (const name of names) registry.addImage(`team/app:${name}`, image)
    for (const pageSize of [1, 5, 24, 25, 26]) {
      expect(await listOf(client.tags(`${registry.host}/team/app`, { pageSize }))).toEqual(names)
    }
    const after = client.tags(`${registry.host}/team/app`, { last: 't22' })
    expect(await listOf(after)).toEqual(['t23', 't24'])
  })

  it('are read only as far as they are wanted', async () => {
    const { registry, client } = await start({ pageSize: 2 })
    for (const name of names) registry.addImage(`${name}/app:1`, makeImage({ layers: [] }))
    for await (const name of client.catalog(registry.host)) if (name === 't02/app') break
    expect(registry.requests.filter(({ path }) => path.includes('_catalog'))).toHaveLength(2)
    expect(await listOf(client.catalog(registry.host))).toEqual(names.map((name) => `${name}/app`))
  })

  it('are asked for without a size by registries that refuse it', async () => {
    for (const status of [400, 405]) {
      const { host, seen } = await scripted(({ url }) =>
        url.includes('n=') ? [status] : [200, {}, { tags: ['a', 'b'] }],
      )
      expect(await listOf(connect().tags(`${host}/team/app`))).toEqual(['a', 'b'])
      expect(seen.map(({ url }) => url)).toEqual([
        '/v2/team/app/tags/list?n=1000',
        '/v2/team/app/tags/list',
      ])
    }
  })

  it('come once each, however often the registry says them', async () => {
    const { host, seen } = await scripted(() => [200, {}, { tags: ['a', 'b', 'a'] }])
    expect(await listOf(connect().tags(`${host}/team/app`, { pageSize: 2 }))).toEqual(['a', 'b'])
    expect(seen).toHaveLength(2)
  })

  it('may be none', async () => {
    const { host } = await scripted(() => [200, {}, { name: 'team/app', tags: null }])
    expect(await listOf(connect().tags(`${host}/team/app`))).toEqual([])
    expect(await listOf(connect().catalog(host))).toEqual([])
  })

  it('are left out if they cannot be names', async () => {
    const tags = ['a', '../b', '\u001b[31m', 'c d', '', 7, null, 'e@sha256:00', 'x'.repeat(129)]
    const repositories = ['team/app', 'Team/App', '../x', 'a:b', 'host.example/a@b']
    const { host } = await scripted(() => [200, {}, { tags, repositories }])
    expect(await listOf(connect().tags(`${host}/team/app`))).toEqual(['a'])
    expect(await listOf(connect().catalog(host))).toEqual(['team/app'])
  })

  it('end in an error where the pages go round in circles', async () => {
    for (const link of ['</v2/team/app/tags/list?x=1>; rel="next"', undefined]) {
      let page = 0
      const { host } = await scripted(() => {
        page += 1
        return [
          200,
          { link: link ?? `</v2/team/app/tags/list?x=${page}>; rel="next"` },
          { tags: ['a'] },
        ]
      })
      await expect(listOf(connect().tags(`${host}/team/app`))).rejects.toMatchObject({
        code: 'ERR_REGISTRY_PROTOCOL',
        message: expect.stringContaining('circles'),
      })
    }
  })

  it('are never asked for at another host', async () => {
    const { host: other, seen: away } = await scripted(() => [200, {}, { tags: ['evil'] }])
    const { host, seen } = await scripted(({ url }) => {
      if (url.includes('last=b')) return [200, {}, { tags: ['c'] }]
      return [
        200,
        { link: `<http://${other}/v2/team/app/tags/list?last=b>; rel="next"` },
        { tags: ['a', 'b'] },
      ]
    })
    expect(await listOf(connect().tags(`${host}/team/app`))).toEqual(['a', 'b', 'c'])
    expect(away).toEqual([])
    expect(seen).toHaveLength(2)
  })

  it.for([
    [404, 'ERR_REGISTRY_NOT_FOUND'],
    [200, 'ERR_REGISTRY_PROTOCOL'],
  ] as const)('are an error with status %i and no list', async ([status, code]) => {
    const { host } = await scripted(() => [status, {}, 'no list'])
    await expect(listOf(connect().tags(`${host}/team/app`))).rejects.toMatchObject({ code })
  })
})

describe('referrers', () => {
  const digest = digestOf(Buffer.from('subject'))
  const entry = (i: number, artifactType = 'application/vnd.a') => ({
    mediaType: MEDIA_TYPES.ociManifest,
    digest: digestOf(Buffer.from(`${i}`)),
    size: i,
    artifactType,
  })
  const index = (...manifests: object[]) => ({
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociIndex,
    manifests,
  })
  const type = { 'content-type': MEDIA_TYPES.ociIndex }

  it.for([
    ['filters', { 'oci-filters-applied': 'artifactType' }, [1, 2]],
    ['does not filter', {}, [1]],
  ] as const)('are filtered where the registry %s', async ([, applied, wanted]) => {
    const { host, seen } = await scripted(() => [
      200,
      { ...type, ...applied },
      index(entry(1), entry(2, 'application/vnd.b')),
    ])
    const reference = parseReference(`${host}/team/app@${digest}`)
    const artifactType = 'application/vnd.a'
    const found = await listOf(connect().referrers(reference, { artifactType }))
    expect(found.map(({ size }) => size)).toEqual(wanted)
    expect(seen[0]?.url).toBe(`/v2/team/app/referrers/${digest}?artifactType=application%2Fvnd.a`)
  })

  it('are read page by page, and at no other host', async () => {
    const { host: other, seen: away } = await scripted(() => [200, type, index(entry(9))])
    const next = { link: '</v2/team/app/referrers/x?page=2>; rel="next"' }
    const { host } = await scripted(({ url }) =>
      url.includes('page=2')
        ? [200, type, index(entry(2))]
        : [200, { ...type, link: next.link }, index(entry(1), entry(1))],
    )
    const reference = parseReference(`${host}/team/app@${digest}`)
    const found = await listOf(connect().referrers(reference))
    expect(found.map(({ size }) => size)).toEqual([1, 2])
    next.link = `<http://${other}/x>; rel="next"`
    await expect(listOf(connect().referrers(reference))).rejects.toMatchObject({
      code: 'ERR_REGISTRY_UNSAFE_REDIRECT',
    })
    expect(away).toEqual([])
  })

  it.for([400, 404, 405, 406])(
    'are looked up under the tag where the API answers %i',
    async (status) => {
      const { host } = await scripted(({ url }) => {
        if (url.includes('/referrers/')) return [status]
        return [200, type, index(entry(1), entry(1), entry(2, 'application/vnd.b'))]
      })
      const reference = parseReference(`${host}/team/app@${digest}`)
      const found = await listOf(
        connect().referrers(reference, { artifactType: 'application/vnd.a' }),
      )
      expect(found.map(({ size }) => size)).toEqual([1])
    },
  )

  it('are none where neither is there', async () => {
    const { host } = await scripted(() => [404])
    expect(await listOf(connect().referrers(parseReference(`${host}/team/app@${digest}`)))).toEqual(
      [],
    )
  })
})

it.for([
  ['</a?n=1&last=b>; rel="next"', 'http://host.example/a?n=1&last=b'],
  ['<http://host.example/b>;rel=next', 'http://host.example/b'],
  ['</prev>; rel="prev", </next>; title="x; y"; rel="foo next"', 'http://host.example/next'],
  ['</a,b>; rel="next"', 'http://host.example/a,b'],
  ['</a>; rel="nextish"', undefined],
  ['</a>; rev="next"', undefined],
  ['next', undefined],
  [`<${'a'.repeat(20_000)}>; rel="next"`, undefined],
] as const)('reads the Link %s', ([link, expected]) => {
  const url = new URL('http://host.example/v2/')
  const response = { status: 200, headers: { link }, url, body: nothing(), cancel: () => {} }
  expect(nextLink(response)?.href).toBe(expected)
})

async function* nothing(): AsyncGenerator<Uint8Array> {}

async function scripted(answer: (request: SeenRequest) => ScriptedAnswer) {
  const seen: SeenRequest[] = []
  const host = await serve((request) => {
    if (request.url === '/v2/') return [200]
    seen.push(request)
    return answer(request)
  })
  return { host, seen }
}
