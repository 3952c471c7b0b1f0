import { describe, expect, it } from 'vitest'
import { RegistryError } from '../errors.ts'
import type { Endpoint } from '../hosts/endpoint.ts'
import { originOf } from '../hosts/host-resolver.ts'
import { createEndpointHealth, queryOf } from './endpoint-choice.ts'

const [first, second, origin] = ['a.test', 'b.test', 'c.test'].map((host) =>
  originOf(host, { because: 'test' }),
) as [Endpoint, Endpoint, Endpoint]

describe('an endpoint that failed', () => {
  it.each([
    ['ERR_REGISTRY_UNREACHABLE', undefined, 60_000],
    ['ERR_REGISTRY_RATE_LIMITED', 5_000, 5_000],
    ['ERR_REGISTRY_TLS', undefined, 60_000],
  ] as const)('with %s is left alone for a while', (code, retryAfterMs, pause) => {
    let now = 1000
    const health = createEndpointHealth(() => now)
    expect(health.failed(first, new RegistryError(code, 'no', { retryAfterMs }))).toBe(true)
    expect(health.healthy([first, second, origin])).toEqual([second, origin])
    expect(health.healthy([second, first])).toEqual([second, first])
    now += pause - 1
    expect(health.healthy([first, origin])).toEqual([origin])
    now += 1
    expect(health.healthy([first, origin])).toEqual([first, origin])
  })

  it('to have something is asked for the next thing', () => {
    const health = createEndpointHealth()
    const missing = new RegistryError('ERR_REGISTRY_NOT_FOUND', 'no')
    expect(health.failed(first, missing)).toBe(true)
    expect(health.healthy([first, origin])).toEqual([first, origin])
  })

  it.each(['ERR_REGISTRY_ABORTED', 'ERR_REGISTRY_CREDENTIALS', 'ERR_REGISTRY_CLOSED'] as const)(
    'with %s is where it ends',
    (code) => {
      expect(createEndpointHealth().failed(first, new RegistryError(code, 'no'))).toBe(false)
      expect(createEndpointHealth().failed(first, new Error('bug'))).toBe(false)
    },
  )
})

describe('queryOf', () => {
  it.each([
    ['manifests/1.0', '1.0'],
    ['manifests/1.0?tag=x', '1.0'],
    ['blobs/sha256:0', undefined],
    ['', undefined],
  ])('of %j has the version %s', (path, version) => {
    const request = {
      registry: 'a.test',
      repository: 'b',
      path,
      method: 'GET',
      action: 'x',
    } as const
    expect(queryOf(request).version).toBe(version)
  })
})
