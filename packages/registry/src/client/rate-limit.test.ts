import { afterEach, describe, expect, it } from 'vitest'
import { parseReference } from '../image/reference.ts'
import { createTestRegistry, makeImage } from '../testing/index.ts'
import { parseRateLimit } from './rate-limit.ts'
import { type ClientEvent, createRegistryClient } from './registry-client.ts'

const open: Array<{ close(): Promise<void> }> = []

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

describe('parseRateLimit', () => {
  const full = {
    'ratelimit-limit': '100;w=21600',
    'ratelimit-remaining': '76;w=21600',
    'docker-ratelimit-source': '192.0.2.1',
  }
  it.each([
    [full, { limit: 100, remaining: 76, windowSeconds: 21600, source: '192.0.2.1' }],
    [
      { 'ratelimit-limit': '5', 'ratelimit-remaining': '0' },
      { limit: 5, remaining: 0 },
    ],
    [
      { 'ratelimit-limit': '100, 100;w=60', 'ratelimit-remaining': ' 9 ; w=60' },
      { limit: 100, remaining: 9, windowSeconds: 60 },
    ],
    [{ 'ratelimit-limit': '100' }, undefined],
    [{ ...full, 'ratelimit-remaining': '-1' }, undefined],
    [{ ...full, 'ratelimit-limit': 'many' }, undefined],
    [{ ...full, 'ratelimit-limit': ['1', '2'] }, undefined],
    [{}, undefined],
  ])('reads %j', (headers, expected) => expect(parseRateLimit(headers)).toEqual(expected))

  it('does not repeat a source that is no address or name', () => {
    const found = parseRateLimit({ ...full, 'docker-ratelimit-source': '\u001b[31m hello' })
    expect(found).not.toHaveProperty('source')
  })
})

describe('client.rateLimit', () => {
  it('knows what the last answer said, for each registry, and so do the events', async () => {
    const registry = await createTestRegistry({ rateLimit: { limit: 3, windowSeconds: 60 } })
    open.push(registry)
    registry.addImage('team/app:1', makeImage({ layers: [] }))
    const events: ClientEvent[] = []
    const client = createRegistryClient({ onEvent: (event) => events.push(event) })
    open.push(client)
    const name = parseReference(`${registry.host}/team/app:1`)
    expect(client.rateLimit(registry.host)).toBeUndefined()
    await client.manifest(name)
    expect(client.rateLimit(registry.host)).toMatchObject({ limit: 3, remaining: 2 })
    await client.manifest(name)
    const limit = { limit: 3, remaining: 1, windowSeconds: 60 }
    expect(client.rateLimit(registry.host)).toMatchObject(limit)
    expect(client.rateLimit('docker.io')).toBeUndefined()
    const told = events.filter(({ type }) => type === 'rate-limit')
    expect(told.at(-1)).toMatchObject({ registry: registry.host, ...limit })
  })
})
