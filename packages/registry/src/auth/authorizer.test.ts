import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createTransport, type Transport } from '../http/transport.ts'
import { failureOf, password } from './auth-files.test.fixture.ts'
import { type AuthTarget, createAuthorizer } from './authorizer.ts'
import { parseChallenges } from './challenge.ts'
import {
  type CredentialProvider,
  type Credentials,
  encodeBasic,
  staticCredentials,
} from './credentials.ts'
import { startTokenServer, type TokenServer } from './token-server.test.fixture.ts'

let server: TokenServer
let transport: Transport

beforeEach(async () => {
  server = await startTokenServer()
  transport = createTransport()
})

afterEach(async () => {
  await transport.close()
  await server.close()
})

function target(scopes?: string[], more: Partial<AuthTarget> = {}): AuthTarget {
  const base = new URL(`http://${server.host}/v2/`)
  return { registry: server.host, repository: 'a', base, ...(scopes ? { scopes } : {}), ...more }
}

function challenge(parameters = ''): ReturnType<typeof parseChallenges> {
  return parseChallenges(`Bearer realm="${server.realm}",service="s"${parameters}`)
}

/** An authorizer whose registry has asked for a token once. */
async function challenged(credentials?: CredentialProvider) {
  const authorizer = createAuthorizer(transport, credentials)
  await authorizer.accept(target(), challenge(), undefined)
  return authorizer
}

function scopesAsked(): string[][] {
  return server.requests.map(({ url }) => url.searchParams.getAll('scope'))
}

describe('scopes', () => {
  it('are asked for as wanted, and a wide token is good for less', async () => {
    const authorizer = await challenged()
    expect(await authorizer.authorization(target())).toBe('Bearer t1')
    const push = ['repository:a:push', 'repository:a:pull']
    expect(await authorizer.authorization(target(push))).toBe('Bearer t2')
    const mount = ['repository:a:pull,push', 'repository:b:pull']
    expect(await authorizer.authorization(target(mount))).toBe('Bearer t3')
    expect(await authorizer.authorization(target(push))).toMatch(/Bearer t[23]/)
    expect(await authorizer.authorization(target())).toMatch(/Bearer t\d/)
    expect(scopesAsked()).toEqual([['repository:a:pull'], ['repository:a:pull,push'], mount])
  })

  it('of the challenge and of the caller are asked for together', async () => {
    const authorizer = createAuthorizer(transport)
    const scopes = ['repository:a:pull,push']
    const wanted = target(scopes)
    const scope = ',scope="repository:a:delete repository:c:pull"'
    expect(await authorizer.accept(wanted, challenge(scope), undefined)).toBe(true)
    await authorizer.authorization(wanted)
    expect(scopesAsked()).toEqual([['repository:a:delete,pull,push', 'repository:c:pull']])
  })

  it('of the catalog are asked for without a repository', async () => {
    const authorizer = createAuthorizer(transport)
    const base = new URL(`http://${server.host}/v2/`)
    const catalog = { registry: server.host, base, scopes: ['registry:catalog:*'] }
    await authorizer.accept(catalog, challenge(), undefined)
    await authorizer.authorization(catalog)
    expect(scopesAsked()).toEqual([['registry:catalog:*']])
  })

  it('that were too few are asked for anew, once', async () => {
    const authorizer = createAuthorizer(transport)
    const request = target()
    await authorizer.accept(request, challenge(',scope="repository:a:pull"'), undefined)
    const narrow = await authorizer.authorization(request)
    const more = challenge(',scope="repository:a:pull,push",error="insufficient_scope"')
    expect(await authorizer.accept(request, more, narrow)).toBe(true)
    const wide = await authorizer.authorization(request)
    expect(wide).toBe('Bearer t2')
    expect(await authorizer.accept(request, more, wide)).toBe(false)
    expect(scopesAsked()).toEqual([['repository:a:pull'], ['repository:a:pull,push']])
  })

  it('that a server goes on to invent do not keep us for ever', async () => {
    const authorizer = createAuthorizer(transport)
    const request = target()
    let rounds = 0
    let used: string | undefined
    while (await authorizer.accept(request, challenge(`,scope="repository:a:x${rounds}"`), used)) {
      used = await authorizer.authorization(request)
      rounds += 1
    }
    expect(rounds).toBe(3)
  })
})

describe('tokens', () => {
  it('are fetched once for parallel callers, and one who leaves takes nobody along', async () => {
    const authorizer = await challenged()
    let release = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    let asked = () => {}
    const whenAsked = new Promise<void>((resolve) => {
      asked = resolve
    })
    server.answer = async () => {
      asked()
      await held
      return { token: 'shared' }
    }
    const leaving = new AbortController()
    const left = failureOf(authorizer.authorization(target(undefined, { signal: leaving.signal })))
    const others = Array.from({ length: 5 }, () => authorizer.authorization(target()))
    await whenAsked
    leaving.abort()
    expect(await left).toMatchObject({ code: 'ERR_REGISTRY_ABORTED' })
    release()
    expect(new Set(await Promise.all(others))).toEqual(new Set(['Bearer shared']))
    expect(server.requests).toHaveLength(1)
  })

  it.each([
    ['not at all, where they end at once', { expires_in: 0.001 }, 2],
    ['as long as the service says', { expires_in: 300 }, 1],
    ['as long as the service says in text', { expires_in: '300' }, 1],
    ['for a minute, where it says nothing', {}, 1],
    ['for a minute, where it says nonsense', { expires_in: -1 }, 1],
    ['whatever its clock says', { expires_in: 300, issued_at: '1999-01-01T00:00:00Z' }, 1],
  ])('are kept %s', async (_, life, fetched) => {
    const authorizer = await challenged()
    server.answer = () => ({ access_token: 'x', ...life })
    expect(await authorizer.authorization(target())).toBe('Bearer x')
    await authorizer.authorization(target())
    expect(server.requests).toHaveLength(fetched)
  })

  it('that the registry refuses are fetched anew, but not twice for one request', async () => {
    const authorizer = await challenged()
    const old = await authorizer.authorization(target())
    const request = target()
    expect(await authorizer.accept(request, challenge(), old)).toBe(true)
    const fresh = await authorizer.authorization(request)
    expect([old, fresh]).toEqual(['Bearer t1', 'Bearer t2'])
    expect(await authorizer.accept(request, challenge(), fresh)).toBe(false)
  })

  it('larger than any token are not read', async () => {
    const authorizer = await challenged()
    server.answer = () => ({ token: 'x'.repeat(2 * 1024 * 1024) })
    expect(await failureOf(authorizer.authorization(target()))).toMatchObject({
      code: 'ERR_REGISTRY_TOO_LARGE',
    })
  })

  it('are not asked for again for a while only because one request failed', async () => {
    const authorizer = await challenged()
    server.answer = () => ({ status: 500 })
    expect(await failureOf(authorizer.authorization(target()))).toMatchObject({
      code: 'ERR_REGISTRY_SERVER',
      temporary: true,
    })
    server.answer = () => ({ token: 'later' })
    expect(await authorizer.authorization(target())).toBe('Bearer later')
  })
})

describe('identity tokens', () => {
  const identity: Credentials = { type: 'identity-token', token: 'long-lived' }

  it('are exchanged by POST', async () => {
    const authorizer = await challenged(staticCredentials(server.host, identity))
    server.answer = () => ({ access_token: 'short' })
    expect(
      await authorizer.authorization(target(['repository:a:pull,push', 'repository:b:pull'])),
    ).toBe('Bearer short')
    const [request] = server.requests
    expect(request).toMatchObject({ method: 'POST', authorization: undefined })
    expect(request?.url.search).toBe('')
    expect(Object.fromEntries(request?.form ?? [])).toEqual({
      grant_type: 'refresh_token',
      client_id: 'cromwell',
      refresh_token: 'long-lived',
      service: 's',
      scope: 'repository:a:pull,push repository:b:pull',
    })
  })

  it.each([
    [404, undefined, '<token>'],
    [405, 'ann', 'ann'],
  ])('are given by GET where POST is answered with %i', async (status, username, user) => {
    const credentials = { ...identity, ...(username === undefined ? {} : { username }) }
    const authorizer = await challenged(staticCredentials(server.host, credentials))
    server.answer = ({ method }) => (method === 'POST' ? { status } : { token: 'x' })
    expect(await authorizer.authorization(target())).toBe('Bearer x')
    expect(server.requests.map(({ method, authorization }) => [method, authorization])).toEqual([
      ['POST', undefined],
      ['GET', `Basic ${encodeBasic(user, 'long-lived')}`],
    ])
  })

  it('that the service replaces are replaced everywhere, and told to who keeps them', async () => {
    const renewed: unknown[] = []
    const credentials = Object.assign(staticCredentials(server.host, identity), {
      renewed: async (query: unknown, found: Credentials) => void renewed.push(query, found),
    })
    const authorizer = await challenged(credentials)
    await authorizer.accept(target(undefined, { repository: 'b' }), challenge(), undefined)
    server.answer = () => ({ access_token: 'x', refresh_token: 'rotated' })
    await authorizer.authorization(target())
    await authorizer.authorization(target(undefined, { repository: 'b' }))
    expect(server.requests.map(({ form }) => form.get('refresh_token'))).toEqual([
      'long-lived',
      'rotated',
    ])
    const query = { registry: server.host, repository: 'a', refused: identity }
    expect(renewed).toEqual([query, { type: 'identity-token', token: 'rotated' }])
    expect(authorizer.secrets()).toContain('rotated')
  })

  it('that are no longer good are refused in the words of the service', async () => {
    const authorizer = await challenged(staticCredentials(server.host, identity))
    const body = { error: 'invalid_grant', error_description: 'long-lived has expired' }
    server.answer = () => ({ status: 400, body })
    expect(await failureOf(authorizer.authorization(target()))).toMatchObject({
      code: 'ERR_REGISTRY_UNAUTHORIZED',
      message: `${server.host} refuses the stored credentials (*** has expired)`,
      errors: [{ code: 'invalid_grant', message: '*** has expired' }],
    })
  })
})

describe('credentials', () => {
  it('are asked for once by parallel callers', async () => {
    let asked = 0
    const authorizer = createAuthorizer(transport, async () => {
      asked += 1
      await new Promise(setImmediate)
      return password('u', 'p')
    })
    await Promise.all([1, 2, 3].map(() => authorizer.accept(target(), challenge(), undefined)))
    await Promise.all([1, 2, 3].map(() => authorizer.authorization(target())))
    expect(asked).toBe(1)
  })

  it('that were refused are asked for again: they may have expired', async () => {
    const queries: unknown[] = []
    const authorizer = await challenged(async (query) => {
      queries.push(query.refused)
      return password('u', query.refused === undefined ? 'old' : 'new')
    })
    const isNew = ({ authorization = '' }) => authorization.endsWith(encodeBasic('u', 'new'))
    server.answer = (request) => (isNew(request) ? { token: 'x' } : { status: 401 })
    expect(await authorizer.authorization(target())).toBe('Bearer x')
    expect(queries).toEqual([undefined, password('u', 'old')])
    expect(server.requests).toHaveLength(2)
  })

  it('that are the same as the refused ones are refused for good', async () => {
    const authorizer = await challenged(staticCredentials(server.host, 'u', 'p4ssword'))
    const body = { details: 'incorrect p4ssword' }
    server.answer = () => ({ status: 401, body })
    expect(await failureOf(authorizer.authorization(target()))).toMatchObject({
      code: 'ERR_REGISTRY_UNAUTHORIZED',
      message: `${server.host} refuses the stored credentials (incorrect ***)`,
    })
    expect(server.requests).toHaveLength(1)
  })

  it('for basic are asked for again when the registry refuses them, and once only', async () => {
    const offered = ['second', 'third', 'fourth']
    const authorizer = createAuthorizer(transport, async ({ refused }) =>
      password('u', refused === undefined ? 'first' : (offered.shift() ?? 'last')),
    )
    const request = target()
    const basic = parseChallenges('Basic realm="x"')
    const sent: (string | undefined)[] = []
    while (await authorizer.accept(request, basic, sent.at(-1))) {
      sent.push(await authorizer.authorization(request))
    }
    expect(sent).toEqual(['first', 'second'].map((secret) => `Basic ${encodeBasic('u', secret)}`))
  })

  it('that are a token for the registry are given to nobody else', async () => {
    const token: Credentials = { type: 'registry-token', token: 'as-it-is' }
    const authorizer = await challenged(staticCredentials(server.host, token))
    const request = target()
    expect(await authorizer.authorization(request)).toBe('Bearer as-it-is')
    expect(await authorizer.accept(request, challenge(), 'Bearer as-it-is')).toBe(false)
    expect(server.requests).toEqual([])
  })

  it.each(['Basic realm="x"', 'Bearer realm="https://auth.example/token"'])(
    'do not travel without TLS (%s)',
    async (header) => {
      const base = new URL('http://registry.example/v2/')
      const credentials = staticCredentials('registry.example', 'u', 's3cret')
      const request = { registry: 'registry.example', repository: 'a', base }
      const authorizer = createAuthorizer(transport, credentials)
      await authorizer.accept(request, parseChallenges(header), undefined)
      const failure = await failureOf(authorizer.authorization(request))
      expect(failure).toMatchObject({ code: 'ERR_REGISTRY_TLS', host: 'registry.example' })
      expect(JSON.stringify(failure)).not.toContain('s3cret')
    },
  )

  it('travel without TLS where that was asked for', async () => {
    const base = new URL('http://registry.example/v2/')
    const request = { registry: 'registry.example', repository: 'a', base, plainHttp: true }
    const authorizer = createAuthorizer(transport, staticCredentials('registry.example', 'u', 'p'))
    await authorizer.accept(request, parseChallenges('Basic realm="x"'), undefined)
    expect(await authorizer.authorization(request)).toBe(`Basic ${encodeBasic('u', 'p')}`)
  })
})

describe('challenges', () => {
  it('of a token service without a realm leave basic, if it is offered', async () => {
    const authorizer = createAuthorizer(transport, staticCredentials(server.host, 'u', 'p'))
    await authorizer.accept(target(), parseChallenges('Bearer service=x, Basic realm=y'), undefined)
    expect(await authorizer.authorization(target())).toMatch(/^Basic /)
  })

  it('that nobody knows are not answered', async () => {
    const authorizer = createAuthorizer(transport, staticCredentials(server.host, 'u', 'p'))
    expect(await authorizer.accept(target(), parseChallenges('Negotiate abc='), undefined)).toBe(
      false,
    )
    expect(await authorizer.accept(target(), [], undefined)).toBe(false)
    expect(await authorizer.authorization(target())).toBeUndefined()
  })
})
