import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ClientEvent, createRegistryClient } from '../client/registry-client.ts'
import { parseReference } from '../image/reference.ts'
import { type AuthDirectory, failureOf, makeAuthDirectory } from './auth-files.test.fixture.ts'
import {
  type CredentialProvider,
  type Credentials,
  encodeBasic,
  staticCredentials,
} from './credentials.ts'
import { fileCredentials } from './file-credentials.ts'
import { login, logout } from './login.ts'
import {
  startTokenServer,
  type TokenServer,
  type TokenServerAnswer,
  type TokenServerRequest,
} from './token-server.test.fixture.ts'

// Every secret has this in it, and survives all ways of writing it but base64, which is looked for as well.
const MARK = 'M4RKED'
const SECRETS = {
  password: `pass "${MARK}0"&word`,
  identity: `${MARK}1-identity`,
  rotated: `${MARK}2-rotated`,
  token: `${MARK}3-token`,
  registry: `${MARK}4-registry`,
}
const BASIC = encodeBasic('ann', SECRETS.password)
const ENCODED = [
  BASIC,
  encodeBasic('ann', SECRETS.identity),
  encodeBasic('<token>', SECRETS.identity),
]

const CREDENTIALS: Record<string, Credentials> = {
  'a password': { type: 'password', username: 'ann', password: SECRETS.password },
  'an identity token': { type: 'identity-token', token: SECRETS.identity },
  'a registry token': { type: 'registry-token', token: SECRETS.registry },
}

let server: TokenServer
let directory: AuthDirectory

beforeEach(async () => {
  server = await startTokenServer()
  directory = await makeAuthDirectory()
})

afterEach(async () => {
  await server.close()
  await directory.remove()
})

/** Nothing of what came out has a secret, however it is shown. */
function expectNoSecret(...seen: unknown[]): void {
  const shown = seen.flatMap((value) => [
    inspect(value, { depth: Number.POSITIVE_INFINITY, showHidden: true, getters: true }),
    String(value),
    JSON.stringify(value) ?? '',
    value instanceof Error ? `${value.stack} ${inspect(value.cause, { depth: 9 })}` : '',
  ])
  for (const text of shown) {
    expect(text).not.toContain(MARK)
    for (const secret of ENCODED) expect(text).not.toContain(secret)
  }
}

/** What a hostile or careless server says: all it was sent, in every form. */
function echo({ authorization, form, url }: TokenServerRequest): string {
  const parts = [authorization, `${form}`, ...form.values(), `${url}`, decodeURIComponent(`${url}`)]
  const basic = /^Basic (.+)$/.exec(authorization ?? '')?.[1]
  parts.push(authorization?.split(' ')[1])
  if (basic !== undefined) parts.push(Buffer.from(basic, 'base64').toString())
  return parts.join(' ')
}

const isToken = ({ url }: TokenServerRequest) => url.pathname === '/token'

function challenge(realm = server.realm): TokenServerAnswer {
  return { status: 401, headers: { 'www-authenticate': `Bearer realm="${realm}",service="s"` } }
}

/** A registry that wants a token, and gives one that is then answered so. */
function behindToken(answer: (request: TokenServerRequest) => TokenServerAnswer) {
  return (request: TokenServerRequest) => {
    if (isToken(request)) return { token: SECRETS.token, refresh_token: SECRETS.rotated }
    return request.authorization?.startsWith('Bearer ') ? answer(request) : challenge()
  }
}

/** A registry that wants a token, whose service answers so. */
function atToken(answer: (request: TokenServerRequest) => TokenServerAnswer) {
  return (request: TokenServerRequest) => (isToken(request) ? answer(request) : challenge())
}

function saying(status: number) {
  return (request: TokenServerRequest): TokenServerAnswer => {
    const message = echo(request)
    return { status, body: { errors: [{ code: message, message, detail: message }] } }
  }
}

const ANSWERS: Record<string, () => TokenServer['answer']> = {
  'the registry refuses': () => behindToken(saying(401)),
  'the registry denies': () => behindToken(saying(403)),
  'the registry fails': () => behindToken(saying(500)),
  'the registry limits': () => behindToken(saying(429)),
  'the registry has nothing': () => behindToken(saying(404)),
  'the registry warns': () =>
    behindToken((request) => ({
      status: 404,
      headers: { warning: `299 - "${echo(request).replace(/["\\]/g, '')}"` },
    })),
  'the registry answers with a manifest of secrets': () =>
    behindToken((request) => ({
      status: 200,
      headers: { 'content-type': echo(request).replace(/[^\x20-\x7e]/g, '') },
      body: echo(request),
    })),
  'the registry redirects with secrets': () =>
    behindToken((request) => ({
      status: 307,
      headers: {
        location: `http://user:${MARK}@127.0.0.1:1/x?token=${encodeURIComponent(echo(request))}`,
      },
    })),
  'the registry redirects to secrets': () =>
    behindToken((request) => ({
      status: 307,
      headers: { location: `ftp://u:${MARK}@host.example/${encodeURIComponent(echo(request))}` },
    })),
  'the registry wants basic': () => (request) => ({
    status: 401,
    headers: { 'www-authenticate': 'Basic realm="x"' },
    body: { message: echo(request) },
  }),
  'the token service refuses': () => atToken(saying(401)),
  'the token service denies': () => atToken(saying(403)),
  'the token service fails': () => atToken(saying(500)),
  'the token service speaks OAuth2': () =>
    atToken((request) => ({
      status: 400,
      body: { error: echo(request), error_description: echo(request) },
    })),
  'the token service gives junk': () =>
    atToken((request) => ({ status: 200, body: echo(request) })),
  'the token service gives junk in JSON': () =>
    atToken((request) => ({ token: `${SECRETS.token}\r\n${echo(request)}` })),
  'the token service gives too much': () =>
    atToken(() => ({ token: SECRETS.token.repeat(200_000) })),
  'the token service redirects': () =>
    atToken((request) => ({
      status: 302,
      headers: { location: `http://x:${MARK}@host.example/?${encodeURIComponent(echo(request))}` },
    })),
  'the token service lies elsewhere': () => () => challenge(`http://u:${MARK}@host.example/token`),
  'the token service is nowhere': () => () => challenge(`http://127.0.0.1:1/token?key=${MARK}`),
}

describe.each(Object.keys(CREDENTIALS))('no secret comes out with %s', (kind) => {
  it.each(Object.keys(ANSWERS))('when %s', async (what) => {
    const credentials = CREDENTIALS[kind]
    const answer = ANSWERS[what]
    if (credentials === undefined || answer === undefined) throw new Error('there is no such case')
    server.answer = answer()
    const events: ClientEvent[] = []
    const provider: CredentialProvider = staticCredentials(server.host, credentials)
    const client = createRegistryClient({
      credentials: provider,
      retry: { attempts: 2, baseMs: 1 },
      onEvent: (event) => events.push(event),
    })
    const reference = parseReference(`${server.host}/team/app:1`)
    const failure = await failureOf(client.manifest(reference))
    const pinged = await failureOf(client.ping(server.host))
    await client.close()
    expect(failure).toMatchObject({ code: expect.stringMatching(/^ERR_REGISTRY_/) })
    expect(events.length).toBeGreaterThan(0)
    expectNoSecret(failure, pinged, events, client, provider)

    const file = join(directory.path, 'config.json')
    const logged = await failureOf(
      login({ registry: server.host, credentials, file, client: { retry: { attempts: 1 } } }),
    )
    expectNoSecret(logged)
  })
})

describe('no secret comes out of files and helpers', () => {
  it.each([
    ['text', `{"auths": {"host.example": {"auth": "${BASIC}"`],
    ['an array', `["${MARK}"]`],
    ['a list of entries', `{"auths": ["${MARK}"]}`],
    [
      'an entry that is no pair',
      `{"auths": {"host.example": {"auth": "${Buffer.from(MARK).toString('base64')}"}}}`,
    ],
    ['helpers that are none', `{"credHelpers": "${MARK}"}`],
    [
      'good ones',
      `{"auths": {"host.example": {"auth": "${BASIC}", "identitytoken": "${SECRETS.identity}"}}}`,
    ],
  ])('with %s', async (_, text) => {
    const file = await directory.write('config.json', text)
    const provider = fileCredentials({ dockerConfig: file, documents: [{ name: 'TEXT', text }] })
    const query = { registry: 'host.example', repository: 'a' }
    // With good ones, the query gives them to its caller, and there is no failure.
    const failure = await failureOf(provider(query).then(() => undefined))
    expectNoSecret(failure, await provider.explain(query), await provider.headers(), provider)
    expectNoSecret(
      await failureOf(
        logout({ registry: 'host.example', file }).then((result) => expectNoSecret(result)),
      ),
    )
  })

  it.each([
    ['prints and fails', `echo ${MARK}; echo ${MARK} >&2; cat; exit 1`],
    ['prints junk', `echo ${MARK}`],
    ['answers half', `echo '{"Username":"${MARK}"}'`],
    ['repeats what it is given, and fails', 'cat; cat >&2; exit 2'],
    ['hangs', `echo ${MARK}; exec sleep 60`],
    ['answers', `echo '{"Username":"ann","Secret":"${MARK}"}'`],
  ])('when a helper %s', async (_, script) => {
    await directory.helper('test', script)
    const file = await directory.write('config.json', { credsStore: 'test' })
    const helper = { helperEnv: directory.env, helperTimeoutMs: 300 }
    const provider = fileCredentials({ dockerConfig: file, ...helper })
    const query = { registry: server.host }
    const failure = await failureOf(provider(query).then(() => undefined))
    const credentials = staticCredentials(server.host, 'ann', SECRETS.password)
    server.answer = () => ({})
    const given = await credentials(query)
    if (given === undefined) throw new Error('there are credentials')
    const options = { registry: server.host, file, ...helper }
    const stored = await failureOf(
      login({ ...options, credentials: given }).then((result) => expectNoSecret(result)),
    )
    const removed = await failureOf(logout(options).then((result) => expectNoSecret(result)))
    expectNoSecret(failure, stored, removed, await provider.explain(query), provider)
  })
})
