import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { parseChallenges } from '../auth/challenge.ts'
import {
  createTestRegistry,
  makeImage,
  makeLayer,
  type TestRegistry,
  type TestRegistryOptions,
} from './index.ts'

const image = makeImage({ layers: [makeLayer({ a: 'a' })] })
const users = { ann: 'secret' }
const basic = `Basic ${Buffer.from('ann:secret').toString('base64')}`
const PULL = 'repository:team/app:pull'
const PUSH = 'repository:team/app:pull,push'

interface TokenAnswer {
  token: string
  scope: string
  expires_in: number
  refresh_token?: string
}

describe('a registry with a token service', () => {
  it('says where a token is to be had, and for what', async () => {
    await using registry = await start()
    const asked = [
      ['GET', '/v2/', undefined],
      ['GET', '/v2/team/app/manifests/1', PULL],
      ['GET', '/v2/team/app/tags/list', PULL],
      ['POST', '/v2/team/app/blobs/uploads/', PUSH],
      [
        'POST',
        '/v2/team/app/blobs/uploads/?mount=x&from=team/base',
        `${PUSH} repository:team/base:pull`,
      ],
      ['PUT', '/v2/team/app/manifests/2', PUSH],
      ['DELETE', '/v2/team/app/manifests/1', 'repository:team/app:delete'],
      ['GET', '/v2/_catalog', 'registry:catalog:*'],
    ] as const
    for (const [method, path, scope] of asked) {
      const { status, challenge } = await ask(registry, method, path)
      expect([path, status, challenge?.scope]).toEqual([path, 401, scope])
    }
  })

  it('lets anybody read what is public, and users do everything', async () => {
    await using registry = await start({ private: ['team/hidden'] })
    registry.addImage('team/hidden:1', image)
    const anybody = await token(registry, [
      PUSH,
      'repository:team/hidden:pull',
      'registry:catalog:*',
    ])
    expect(anybody.scope).toBe('repository:team/app:pull repository:team/hidden: registry:catalog:')
    const ann = await token(registry, [PUSH], basic)
    expect(ann.scope).toBe(PUSH)
    const attempts = [
      [anybody, 'GET', '/v2/team/app/tags/list', 200],
      [anybody, 'POST', '/v2/team/app/blobs/uploads/', 401],
      [anybody, 'GET', '/v2/team/hidden/tags/list', 401],
      [ann, 'POST', '/v2/team/app/blobs/uploads/', 202],
      [ann, 'GET', '/v2/team/hidden/tags/list', 401],
    ] as const
    for (const [{ token }, method, path, expected] of attempts) {
      const { status, challenge } = await ask(registry, method, path, `Bearer ${token}`)
      expect([method, path, status]).toEqual([method, path, expected])
      if (expected === 401) expect(challenge?.error).toBe('insufficient_scope')
    }
  })

  it('refuses tokens that expired, were revoked or never given out', async () => {
    await using registry = await start({ tokenLifeSeconds: 0.05 })
    const { token: short, expires_in } = await token(registry, [PULL])
    expect(expires_in).toBe(0.05)
    await sleep(60)
    for (const each of [short, 'made-up']) {
      const { status, challenge } = await ask(registry, 'GET', '/v2/', `Bearer ${each}`)
      expect([status, challenge?.error]).toEqual([401, 'invalid_token'])
    }
    await using lasting = await start()
    const { token: long } = await token(lasting, [PULL])
    expect((await ask(lasting, 'GET', '/v2/', `Bearer ${long}`)).status).toBe(200)
    lasting.revokeTokens()
    expect((await ask(lasting, 'GET', '/v2/', `Bearer ${long}`)).status).toBe(401)
  })

  it('gives tokens by OAuth2, for a password or a refresh token', async () => {
    await using registry = await start()
    const login = {
      grant_type: 'password',
      username: 'ann',
      password: 'secret',
      access_type: 'offline',
    }
    const first = await post(registry, { ...login, scope: PUSH })
    expect([first.status, first.body.scope]).toEqual([200, PUSH])
    const refresh_token = first.body.refresh_token ?? ''
    for (const each of [refresh_token, registry.issueRefreshToken('ann')]) {
      const again = { grant_type: 'refresh_token', refresh_token: each, scope: PUSH }
      const { status, body } = await post(registry, again)
      expect(status).toBe(200)
      const upload = ['POST', '/v2/team/app/blobs/uploads/', `Bearer ${body.token}`] as const
      expect((await ask(registry, ...upload)).status).toBe(202)
    }
    expect((await post(registry, { ...login, password: 'wrong' })).status).toBe(401)
    expect((await post(registry, { grant_type: 'refresh_token', refresh_token: 'x' })).status).toBe(
      401,
    )
    expect((await post(registry, { grant_type: 'magic' })).status).toBe(400)
  })

  it('tells a wrong password from none', async () => {
    await using registry = await start()
    const wrong = `Basic ${Buffer.from('ann:wrong').toString('base64')}`
    const response = await fetch(`${registry.origin}/token`, { headers: { authorization: wrong } })
    expect(response.status).toBe(401)
  })
})

function start(options: TestRegistryOptions = {}): Promise<TestRegistry> {
  return createTestRegistry({ auth: 'token', users, tokenService: 'registry', ...options }).then(
    (registry) => {
      registry.addImage('team/app:1', image)
      return registry
    },
  )
}

async function ask(registry: TestRegistry, method: string, path: string, authorization?: string) {
  const headers = authorization === undefined ? {} : { authorization }
  const response = await fetch(registry.origin + path, { method, headers })
  await response.arrayBuffer()
  const challenges = parseChallenges(response.headers.get('www-authenticate') ?? '')
  return { status: response.status, challenge: challenges[0]?.parameters }
}

async function token(
  registry: TestRegistry,
  scopes: string[],
  authorization?: string,
): Promise<TokenAnswer> {
  const url = new URL('/token?service=test', registry.origin)
  for (const scope of scopes) url.searchParams.append('scope', scope)
  const response = await fetch(url, { headers: authorization ? { authorization } : {} })
  expect(response.status).toBe(200)
  return (await response.json()) as TokenAnswer
}

async function post(registry: TestRegistry, form: Record<string, string>) {
  const body = new URLSearchParams({ service: 'test', client_id: 'test', ...form })
  const response = await fetch(`${registry.origin}/token`, { method: 'POST', body })
  return { status: response.status, body: (await response.json()) as TokenAnswer }
}
