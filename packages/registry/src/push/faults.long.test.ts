import { randomBytes } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { staticCredentials } from '../auth/credentials.ts'
import {
  checkFinal,
  type FinalFaults,
  failuresOf,
  faultCases,
  hasty,
  outcomeOf,
} from '../client/faults.test.fixture.ts'
import { createRegistryClient } from '../client/registry-client.ts'
import { copy } from '../copy/copy.ts'
import { digestOf } from '../image/digest.ts'
import { EMPTY_CONFIG, partsOf, putAll, referrerTo } from '../store/content.test.fixture.ts'
import { memoryStore } from '../store/memory-store.ts'
import { registryStore } from '../store/registry-store.ts'
import { createTestRegistry, makeImage, makeLayer, type TestRegistry } from '../testing/index.ts'
import { push } from './push.ts'

// Whatever a registry does wrong, at whichever point: a whole image gets there, or a typed error comes.
const base = makeLayer({ base: randomBytes(2000) })
const image = makeImage({ layers: [base, makeLayer({ file: randomBytes(3000) })] })
const { digest } = image.manifest.descriptor
const sbom = referrerTo(image.manifest.descriptor, 'sbom')
const parts = partsOf(image)
const everything = [...parts, ...partsOf(sbom)]
const store = memoryStore()

beforeAll(async () => {
  await putAll(store, image, 'app')
  await putAll(store, sbom)
})

const UPLOADS = ['PATCH upload', 'PUT upload', 'GET upload', 'DELETE upload']
const PLACES = [
  ...['GET ping', 'GET token', 'HEAD manifest', 'PUT manifest', 'HEAD blob'],
  ...['POST upload', 'PUT upload', 'GET upload', 'DELETE upload'],
]

const REFUSED: FinalFaults[] = [
  {
    because: 'who is refused would be refused again',
    names: ['status 400', 'status 403'],
    at: ['PUT upload'],
  },
  { because: 'the same', names: ['too large'], at: ['PUT upload'] },
  {
    because: 'the registry has stored something else, or says so',
    names: ['wrong Docker-Content-Digest after a push'],
    at: ['PUT upload'],
  },
]
const WRONG = [
  ...['first byte corrupt', 'half of it', 'a byte too few', 'Content-Length too short'],
  ...['a web page', 'an empty body', 'huge'],
]
const READING: FinalFaults[] = [
  {
    because: 'who is refused would be refused again',
    names: ['status 401', 'status 403'],
    at: ['GET manifest', 'GET blob', 'GET referrers'],
  },
  { because: 'the same', names: ['status 400'], at: ['GET manifest', 'GET blob'] },
  { because: 'the same', names: ['status 404'], at: ['GET manifest'] },
  {
    because: 'what came whole, and is wrong, is wrong at the registry',
    names: WRONG,
    at: ['GET manifest', 'GET blob', 'GET referrers'],
  },
  { because: 'the same', names: ['JSON null'], at: ['GET manifest', 'GET referrers'] },
  {
    because: 'the same',
    names: ['last byte corrupt', 'a byte too many'],
    at: ['GET manifest', 'GET blob'],
  },
  { because: 'the same', names: ['Content-Length too long'], at: ['GET blob'] },
  {
    because: 'the same, and what is said before is what is asked for',
    names: ['wrong Docker-Content-Digest'],
    at: ['GET manifest', 'HEAD manifest'],
  },
]
const NOWHERE: FinalFaults = {
  because: 'an upload leads nowhere',
  names: ['no Location', 'a Location that is no URL'],
  at: ['POST upload'],
}
const POSTS: FinalFaults[] = [
  {
    because: 'who is refused would be refused again',
    names: ['status 400', 'status 403', 'status 404', 'method not allowed'],
    at: ['POST upload'],
  },
  NOWHERE,
]
const AT_ONCE: FinalFaults[] = [
  {
    because: 'who is refused would be refused again',
    names: ['status 400', 'status 401', 'status 403', 'status 404', 'method not allowed'],
    at: ['GET token'],
  },
  {
    because: 'what came whole, and is wrong, is wrong at the registry',
    names: [
      ...['first byte corrupt', 'half of it', 'a byte too few', 'Content-Length too short'],
      ...['a web page', 'an empty body', 'JSON null', 'huge'],
    ],
    at: ['GET token'],
  },
  {
    because: 'who is refused would be refused again',
    names: ['status 400', 'status 403', 'status 404', 'too large'],
    at: ['PUT manifest'],
  },
  {
    because: 'the registry has stored something else, or says so',
    names: ['wrong Docker-Content-Digest after a push'],
    at: ['PUT manifest'],
  },
]
const IN_CHUNKS: FinalFaults[] = [
  {
    because: 'who is refused would be refused again',
    names: ['status 400', 'status 403', 'too large'],
    at: ['PATCH upload'],
  },
  {
    because: 'the last chunk is what the registry refuses, and it was sent as one',
    names: ['chunks only'],
    at: ['PUT upload'],
  },
  { because: 'the same', names: ['method not allowed'], at: ['PUT upload'] },
]

describe('a push', { timeout: 600_000 }, () => {
  it.for([
    ['blobs at once', {}, faultCases(PLACES, [2]), [...REFUSED, ...POSTS, ...AT_ONCE]],
    ['blobs in chunks', { chunkBytes: 1200 }, faultCases(UPLOADS, [2]), [...REFUSED, ...IN_CHUNKS]],
    ['a mounted blob', { mountFrom: ['team/base'] }, faultCases(['POST upload']), [NOWHERE]],
  ] as const)('of %s brings all of it or a typed error, whatever goes wrong', async (row) => {
    const [, options, cases, table] = row
    const final = checkFinal(table)
    const failures = await failuresOf(cases, async (each) => {
      await using registry = await createTestRegistry({ auth: 'token', users: { ann: 'sesame' } })
      registry.addImage('team/base:1', makeImage({ layers: [base] }))
      registry.addFault(each.fault)
      const credentials = staticCredentials(registry.host, 'ann', 'sesame')
      await using client = createRegistryClient({ ...hasty(each), credentials })
      const name = `${registry.host}/team/app:1`
      const send = (signal?: AbortSignal) =>
        push({ store, name: 'app' }, name, { client, referrers: true, signal, ...options })
      const { error } = await outcomeOf(send)
      await expectWhole(registry, error === undefined)
      final.check(each, error)
      if (error === undefined) return
      registry.clearFaults()
      await send()
      await expectWhole(registry, true)
    })
    expect(failures).toEqual([])
    expect(final.unused()).toEqual([])
  })
})

describe('a copy', { timeout: 600_000 }, () => {
  it('brings all of it or a typed error, whatever goes wrong where it reads', async () => {
    const places = [
      ...faultCases(['HEAD manifest', 'GET blob', 'GET referrers'], [1]),
      ...faultCases(['GET manifest'], [2]),
    ]
    const final = checkFinal(READING)
    const failures = await failuresOf(places, async (each) => {
      await using from = await createTestRegistry()
      await using to = await createTestRegistry()
      from.addImage('team/app:1', image)
      for (const { bytes } of [EMPTY_CONFIG, sbom.blob]) from.addBlob('team/app', bytes)
      const { descriptor, bytes } = sbom.manifest
      await fetch(`${from.origin}/v2/team/app/manifests/${descriptor.digest}`, {
        method: 'PUT',
        headers: { 'content-type': descriptor.mediaType },
        body: new Uint8Array(bytes),
      })
      from.addFault(each.fault)
      await using client = createRegistryClient(hasty(each))
      const [old, other] = [from, to].map(({ host }) => ({
        store: registryStore(client, `${host}/team/app`),
        name: '1',
      }))
      if (old === undefined || other === undefined) throw new Error('unreachable')
      const run = (signal?: AbortSignal) => copy(old, other, { referrers: true, signal })
      const { error } = await outcomeOf(run)
      const silent = each.fault.on === 'referrers' && each.fault.type === 'status'
      await expectWhole(to, error === undefined, silent ? parts : everything)
      final.check(each, error)
      if (error === undefined) return
      from.clearFaults()
      await run()
      await expectWhole(to, true)
    })
    expect(failures).toEqual([])
    expect(final.unused()).toEqual([])
  })
})

/** What is there is what it is called, and the tag is not there before all else is. */
async function expectWhole(
  registry: TestRegistry,
  isDone: boolean,
  all = everything,
): Promise<void> {
  const tagged = registry.manifest('team/app', '1')
  if (isDone) expect(tagged?.bytes).toEqual(image.manifest.bytes)
  if (tagged !== undefined) expect(digestOf(tagged.bytes)).toBe(digest)
  const wanted = isDone ? all : tagged === undefined ? [] : parts
  for (const { descriptor, bytes } of everything) {
    const found =
      registry.manifest('team/app', descriptor.digest)?.bytes ??
      (await registry.blob('team/app', descriptor.digest))
    if (found !== undefined || wanted.some((part) => part.descriptor === descriptor)) {
      expect(found).toEqual(bytes)
    }
  }
}
