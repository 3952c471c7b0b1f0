import { tracingChannel } from 'node:diagnostics_channel'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { staticCredentials } from './auth/credentials.ts'
import { createRegistryClient } from './client/registry-client.ts'
import { openImageLayout } from './layout/image-layout.ts'
import { pull } from './pull/pull.ts'
import { createTestRegistry, makeImage, makeLayer, type TestRegistry } from './testing/index.ts'
import { traced } from './tracing.ts'

const NAMES = ['request', 'blob', 'pull'] as const
const layer = makeLayer({ file: 'content' })
const image = makeImage({ layers: [layer] })
const password = 'open sesame'

interface Published {
  /** `pull:start`, for instance. */
  step: string
  trace: Record<string, unknown>
}

let directory: string
let published: Published[]
let unsubscribe: () => void
const open: Array<{ close(): Promise<void> }> = []

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cromwell-tracing-'))
  published = []
  unsubscribe = subscribe()
})

afterEach(async () => {
  unsubscribe()
  for (const each of open.splice(0).reverse()) await each.close()
  await rm(directory, { recursive: true, force: true })
})

/** To all of the channels; on Node 20 each step has to be given. */
function subscribe(): () => void {
  const undo = NAMES.map((name) => {
    const channel = tracingChannel(`cromwell:registry:${name}`)
    const note = (step: string) => (trace: unknown) => {
      // Every message on these channels is an object.
      published.push({ step: `${name}:${step}`, trace: trace as Record<string, unknown> })
    }
    const handlers = {
      start: note('start'),
      end: note('end'),
      asyncStart: note('asyncStart'),
      asyncEnd: note('asyncEnd'),
      error: note('error'),
    }
    channel.subscribe(handlers)
    return () => channel.unsubscribe(handlers)
  })
  return () => {
    for (const each of undo) each()
  }
}

describe('tracing', () => {
  it('tells the beginning and the end of a pull, its blobs and its requests', async () => {
    const registry = await start()
    const { image: stored } = await pulled(registry)
    const ends = (name: string) => published.filter(({ step }) => step === `${name}:asyncEnd`)
    const reference = stored.name
    expect(published[0]).toMatchObject({ step: 'pull:start', trace: { reference } })
    expect(ends('pull').map(({ trace }) => trace)).toEqual([
      { reference, digest: stored.resolvedDigest, status: 'downloaded', result: undefined },
    ])
    const { digest, size } = layer
    expect(ends('blob').map(({ trace }) => trace)).toEqual([
      { reference, digest, size, offset: 0, result: undefined },
    ])
    const requests = ends('request').map(({ trace }) => trace)
    expect(requests).toContainEqual(
      expect.objectContaining({
        method: 'GET',
        url: `http://${registry.host}/v2/team/app/blobs/${digest}`,
        status: 200,
      }),
    )
    expect(requests).toContainEqual(
      expect.objectContaining({ url: expect.stringContaining('/token'), status: 200 }),
    )
  })

  it('tells the error of what fails', async () => {
    const registry = await start()
    registry.addFault({ on: 'blob', type: 'corrupt', path: layer.digest })
    const code = 'ERR_REGISTRY_DIGEST_MISMATCH'
    await expect(pulled(registry)).rejects.toMatchObject({ code })
    for (const name of ['blob', 'pull']) {
      const failed = published.filter(({ step }) => step === `${name}:error`)
      expect(failed.map(({ trace }) => trace['error'])).toEqual([expect.objectContaining({ code })])
    }
  })

  it('tells no password, no token and no signature', async () => {
    const registry = await start()
    await pulled(registry)
    const token = registry.requests
      .map(({ headers }) => headers.authorization?.replace('Bearer ', ''))
      .findLast((value) => value !== undefined && !value.startsWith('Basic'))
    const signature = registry.requests
      .map(({ path }) => /signature=([^&]+)/.exec(path)?.[1])
      .find((value) => value !== undefined)
    const said = inspect(published, { depth: 10, maxArrayLength: null })
    expect([token, signature].every((secret) => (secret ?? '').length > 3)).toBe(true)
    for (const secret of [token, signature, password, encodeURIComponent(password)]) {
      expect(said).not.toContain(secret)
    }
  })

  it('costs nothing, and gives nothing to fill in, when nobody listens', async () => {
    unsubscribe()
    const describeNothing = () => {
      throw new Error('was called')
    }
    expect(await traced('pull', describeNothing, async (trace) => [trace])).toEqual([undefined])
  })
})

async function start(): Promise<TestRegistry> {
  const registry = await createTestRegistry({
    auth: 'token',
    private: true,
    users: { ann: password },
    redirectBlobs: true,
  })
  open.push(registry)
  registry.addImage('team/app:1', image)
  return registry
}

async function pulled(registry: TestRegistry) {
  const credentials = staticCredentials(registry.host, 'ann', password)
  const client = createRegistryClient({ credentials, retry: { baseMs: 1 } })
  open.push(client)
  return pull(`${registry.host}/team/app:1`, openImageLayout(directory), { client })
}
