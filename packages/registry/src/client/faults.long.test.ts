import { describe, expect, it } from 'vitest'
import { isRegistryError } from '../errors.ts'
import { digestOf } from '../image/digest.ts'
import { parseReference, type Reference, withDigest } from '../image/reference.ts'
import { referrerTo } from '../store/content.test.fixture.ts'
import type { Endpoint, Fault } from '../testing/fault.ts'
import { createTestRegistry, makeImage, makeLayer, type TestRegistry } from '../testing/index.ts'
import {
  checkFinal,
  type FinalFaults,
  failuresOf,
  faultCases,
  hasty,
  outcomeOf,
} from './faults.test.fixture.ts'
import { createRegistryClient, type RegistryClient } from './registry-client.ts'
import { listOf } from './servers.test.fixture.ts'

// Whatever a registry does wrong where it is asked for something small: the whole answer, or a typed error.
const layer = makeLayer({ file: 'content' })
const image = makeImage({ layers: [layer] })
const { descriptor } = image.manifest
const referrers = ['a', 'b', 'c'].map((text) => referrerTo(descriptor, text).manifest)
const other = makeImage({ layers: [layer], config: { Cmd: ['other'] } })
const tags = ['1', '2', '3']
type Kind = 'tag' | 'manifest' | 'blob'

const REFUSED: FinalFaults[] = [
  {
    because: 'who is refused would be refused again',
    names: ['status 401', 'status 403'],
    at: ['GET manifest', 'GET tags', 'GET catalog', 'GET referrers'],
  },
  {
    because: 'the same; only the first page may be said not to be there',
    names: ['status 400', 'status 404'],
    at: ['GET manifest', 'GET tags', 'GET catalog', 'GET referrers'],
  },
  { because: 'the same', names: ['referrers refused by 406'], at: ['GET referrers'] },
]
const WRONG: FinalFaults[] = [
  {
    because: 'what came whole, and is wrong, is wrong at the registry',
    names: [
      ...['first byte corrupt', 'half of it', 'a byte too few', 'Content-Length too short'],
      ...['a web page', 'an empty body', 'JSON null', 'huge'],
    ],
    at: ['GET manifest', 'GET tags', 'GET catalog', 'GET referrers'],
  },
  {
    because: 'the same, though it may be read',
    names: ['last byte corrupt', 'a byte too many', 'wrong Docker-Content-Digest'],
    at: ['GET manifest'],
  },
  {
    because: 'the link leads on from the address that was good only once',
    names: ['redirect to a URL of one use'],
    at: ['GET tags', 'GET catalog', 'GET referrers'],
  },
]

describe('what is read', { timeout: 600_000 }, () => {
  it('is the whole of it or a typed error, whatever goes wrong', async () => {
    const final = checkFinal([...REFUSED, ...WRONG])
    const cases = [
      ...faultCases(['GET manifest']),
      ...faultCases(['GET tags', 'GET catalog', 'GET referrers'], [2]),
    ]
    const failures = await failuresOf(cases, async (each) => {
      await using registry = await startRegistry()
      registry.addFault(each.fault)
      await using client = createRegistryClient(hasty(each))
      const reference = parseReference(`${registry.host}/team/app:1`)
      const { value, error } = await outcomeOf((signal) =>
        readAll(client, reference, each.fault.on, signal),
      )
      final.check(each, error)
      if (value === undefined) return
      if (!isCredible(each.fault, value)) expect(value).toEqual(wanted(each.fault.on))
    })
    expect(failures).toEqual([])
    expect(final.unused()).toEqual([])
  })
})

describe('what is deleted', { timeout: 600_000 }, () => {
  it.for([
    ['tag', 'DELETE manifest'],
    ['manifest', 'DELETE manifest'],
    ['blob', 'DELETE blob'],
  ] as const)('is gone, or an error says why: a %s', async ([kind, place]) => {
    const final = checkFinal([
      {
        because: 'who is refused would be refused again',
        names: ['status 400', 'status 403', 'status 404'],
        // a tag goes by a stand-in where the registry deletes no tags
        at: kind === 'tag' ? [] : [place],
      },
      { because: 'the same', names: kind === 'tag' ? ['status 403'] : [], at: [place] },
    ])
    const cases = faultCases([place]).filter(
      ({ fault }) => fault.nth === undefined || fault.nth < 2,
    )
    const failures = await failuresOf(cases, async (each) => {
      await using registry = await startRegistry()
      registry.addFault(each.fault)
      await using client = createRegistryClient(hasty(each))
      const reference = parseReference(`${registry.host}/team/app:1`)
      const { error } = await outcomeOf((signal) => remove(client, reference, kind, signal))
      final.check(each, error)
      const left = await isLeft(registry, kind)
      // The registry may have done it, and its answer have been lost each time.
      if (error === undefined || each.fault.type !== 'lost-answer') {
        expect(left).toBe(error !== undefined)
      }
      expect(isRegistryError(error, 'ERR_REGISTRY_NOT_FOUND') && !left).toBe(false)
      if (kind === 'tag') expect(registry.manifest('team/app', '2')).toBeDefined()
    })
    expect(failures).toEqual([])
    expect(final.unused()).toEqual([])
  })
})

/** Who denies to have a list of referrers, or that it goes on, is believed. */
function isCredible({ on, type }: Fault, found: string[]): boolean {
  if (on !== 'referrers') return false
  return (type === 'status' && found.length === 0) || type === 'no-link'
}

async function startRegistry(): Promise<TestRegistry> {
  const registry = await createTestRegistry({ pageSize: 2, sparse: true })
  for (const tag of tags) registry.addImage(`team/app:${tag}`, tag === '1' ? image : other)
  for (const name of ['a', 'b']) registry.addImage(`team/${name}:1`, image)
  for (const { descriptor: entry, bytes } of referrers) {
    const url = `${registry.origin}/v2/team/app/manifests/${entry.digest}`
    const headers = { 'content-type': entry.mediaType }
    await fetch(url, { method: 'PUT', headers, body: new Uint8Array(bytes) })
  }
  return registry
}

async function readAll(
  client: RegistryClient,
  reference: Reference,
  what: Endpoint,
  signal: AbortSignal,
): Promise<string[]> {
  if (what === 'tags') return listOf(client.tags(reference, { signal, pageSize: 2 }))
  if (what === 'catalog') return listOf(client.catalog(reference.registry, { signal, pageSize: 2 }))
  if (what === 'manifest') {
    const found = await client.manifest(reference, { signal })
    return [digestOf(found.bytes), found.descriptor.digest]
  }
  const subject = withDigest(reference, descriptor.digest)
  const found = await listOf(client.referrers(subject, { signal }))
  return found.map(({ digest }) => digest).sort()
}

function wanted(what: Endpoint): string[] {
  if (what === 'tags') return tags
  if (what === 'catalog') return ['team/a', 'team/app', 'team/b']
  if (what === 'manifest') return [descriptor.digest, descriptor.digest]
  return referrers.map(({ descriptor: { digest } }) => digest).sort()
}

function remove(
  client: RegistryClient,
  reference: Reference,
  kind: Kind,
  signal: AbortSignal,
): Promise<void> {
  if (kind === 'tag') return client.deleteTag(reference, { signal })
  if (kind === 'blob') return client.deleteBlob(reference, layer.digest, { signal })
  return client.deleteManifest(withDigest(reference, descriptor.digest), { signal })
}

async function isLeft(registry: TestRegistry, kind: Kind): Promise<boolean> {
  if (kind === 'blob') return (await registry.blob('team/app', layer.digest)) !== undefined
  return registry.manifest('team/app', kind === 'tag' ? '1' : descriptor.digest) !== undefined
}
