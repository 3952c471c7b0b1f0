import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  checkFinal,
  type FaultCase,
  type FinalFaults,
  failuresOf,
  faultCases,
  hasty,
  movedTo,
  outcomeOf,
} from '../client/faults.test.fixture.ts'
import { createRegistryClient } from '../client/registry-client.ts'
import { digestOf } from '../image/digest.ts'
import { type ImageLayout, openImageLayout } from '../layout/image-layout.ts'
import { partsOf } from '../store/content.test.fixture.ts'
import { createTestRegistry, makeImage, makeIndex, makeLayer } from '../testing/index.ts'
import { pull } from './pull.ts'

// Whatever a registry does wrong, at whichever point: the right image comes, or a typed error does.
const platform = { os: 'linux', architecture: 'amd64' }
const layers = [1, 2].map(() => makeLayer({ file: randomBytes(3000) }))
const image = makeImage({ layers, platform })
const index = makeIndex([image])
const parts = partsOf(image)

const WRONG = ['first byte corrupt', 'half of it', 'a byte too few', 'Content-Length too short']
const FINAL: FinalFaults[] = [
  {
    because: 'who is refused would be refused again',
    names: ['status 400', 'status 401', 'status 403', 'status 404'],
    at: ['GET token', 'GET manifest', 'GET blob', 'GET redirect'],
  },
  { because: 'the same', names: ['method not allowed'], at: ['GET token'] },
  {
    because: 'what came whole, and is wrong, is wrong at the registry',
    names: [...WRONG, 'a web page', 'an empty body', 'huge'],
    at: ['GET token', 'GET manifest', 'GET blob'],
  },
  { because: 'the same', names: ['JSON null'], at: ['GET token', 'GET manifest'] },
  {
    because: 'the same',
    names: ['last byte corrupt', 'a byte too many'],
    at: ['GET manifest', 'GET blob'],
  },
  { because: 'the same', names: ['Content-Length too long'], at: ['GET blob'] },
  { because: 'the same', names: ['wrong Docker-Content-Digest'], at: ['GET manifest'] },
  { because: 'the same', names: ['a web page', 'an empty body'], at: ['GET redirect'] },
]

const final = checkFinal(FINAL)
let directory: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cromwell-faults-'))
})

afterAll(() => rm(directory, { recursive: true, force: true }))

describe('a pull', { timeout: 600_000 }, () => {
  const cases = [
    ...faultCases(['GET ping', 'GET token', 'HEAD manifest']),
    ...faultCases(['GET manifest'], [2, 3]),
    ...faultCases(['GET blob'], [1, 2]),
  ]

  it('brings the right image or a typed error, whatever goes wrong', async () => {
    const failures = await failuresOf(cases, (each) => check(each))
    expect(failures).toEqual([])
  })

  it('does so also where blobs are kept by another host', async () => {
    const blobs = faultCases(['GET blob'], [2])
    const all = [...blobs, ...blobs.map((each) => movedTo('redirect', each))]
    const failures = await failuresOf(all, (each) => check(each, { redirectBlobs: true }))
    expect(failures).toEqual([])
    expect(final.unused()).toEqual([])
  })
})

async function check(each: FaultCase, options: { redirectBlobs?: boolean } = {}): Promise<void> {
  await using registry = await createTestRegistry({ auth: 'token', ...options })
  registry.addImage('team/app:1', index)
  registry.addFault(each.fault)
  const layout = openImageLayout(await mkdtemp(join(directory, 'layout-')))
  await using client = createRegistryClient(hasty(each))
  const name = `${registry.host}/team/app:1`
  const { value, error } = await outcomeOf((signal) =>
    pull(name, layout, { client, platform, signal }),
  )
  await expectWhole(layout, value !== undefined)
  final.check(each, error)
  if (value !== undefined) return
  registry.clearFaults()
  await pull(name, layout, { client, platform })
  await expectWhole(layout, true)
}

/** Every blob is what it is called, and the image has its name only if it is there. */
async function expectWhole(layout: ImageLayout, isThere: boolean): Promise<void> {
  const blobs = join(layout.directory, 'blobs', 'sha256')
  const found = new Map<string, Buffer>()
  for (const name of await readdir(blobs).catch(() => [])) {
    found.set(`sha256:${name}`, await readFile(join(blobs, name)))
  }
  for (const [digest, bytes] of found) expect(digestOf(bytes)).toBe(digest)
  const named = await layout.list().catch(() => [])
  expect(named).toHaveLength(isThere ? 1 : 0)
  if (!isThere) return
  for (const { descriptor, bytes } of parts) expect(found.get(descriptor.digest)).toEqual(bytes)
  expect((await layout.verify()).problems).toEqual([])
}
