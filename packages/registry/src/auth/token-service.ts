import { RegistryError } from '../errors.ts'
import type { TlsSettings } from '../hosts/endpoint.ts'
import { readBody, statusError } from '../http/response.ts'
import type { HttpRequest, Transport } from '../http/transport.ts'
import { isObject } from '../image/json-document.ts'
import type { Credentials } from './credentials.ts'

/** Where tokens come from and what they are to be for: the parameters of a bearer challenge. */
export interface TokenService {
  realm: URL
  service?: string
  scope?: string
}

/** A bearer token. */
export interface Token {
  value: string
  /** On the clock of `performance.now()`: the wall clocks of two machines need not agree. */
  expiresAt: number
}

interface TokenRequest {
  registry: string
  /** The registry's API, which led to the service. */
  base: URL
  tls: TlsSettings | undefined
  credentials: Credentials | undefined
  /** To be masked in what the service says. */
  secrets: Iterable<string>
}

const MAX_TOKEN_BODY = 1024 * 1024
/** What the token specification tells clients to assume, and the least they should. */
const DEFAULT_LIFE_SECONDS = 60
const CLIENT_ID = 'cromwell'

/**
 * Fetch a token: by GET, anonymous or with name and password; by POST with an identity token.
 *
 * Not tied to one caller's signal, since callers share it; the transport's timeouts bound it.
 * Source: distribution, docs/spec/auth/token.md and oauth.md.
 */
export async function fetchToken(
  transport: Transport,
  service: TokenService,
  request: TokenRequest,
): Promise<Token> {
  const { credentials, registry, base, tls } = request
  const message =
    credentials?.type === 'identity-token'
      ? oauthRequest(service, credentials.token)
      : tokenRequest(service, credentials)
  const response = await transport.request({ ...message, led: { by: base, as: 'realm' }, tls })
  if (response.status === 200) {
    return parseToken(await readBody(response, MAX_TOKEN_BODY, 'the token'), service)
  }
  const secrets = [...request.secrets]
  const action = `cannot log in to ${registry}`
  const error = await statusError(response, { action, method: message.method, secrets })
  throw error.status === 401 || error.status === 403 ? refused(registry, credentials, error) : error
}

function tokenRequest(service: TokenService, credentials?: Credentials): HttpRequest {
  const url = new URL(service.realm)
  if (service.service !== undefined) url.searchParams.set('service', service.service)
  for (const scope of scopesOf(service)) url.searchParams.append('scope', scope)
  if (credentials?.type !== 'password') return { method: 'GET', url }
  const { username, password } = credentials
  url.searchParams.set('account', username)
  const basic = Buffer.from(`${username}:${password}`, 'utf8').toString('base64')
  return { method: 'GET', url, headers: { authorization: `Basic ${basic}` } }
}

function oauthRequest(service: TokenService, identityToken: string): HttpRequest {
  const form = new URLSearchParams({
    grant_type: 'refresh_token',
    client_id: CLIENT_ID,
    refresh_token: identityToken,
  })
  if (service.service !== undefined) form.set('service', service.service)
  if (service.scope !== undefined) form.set('scope', service.scope)
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  return { method: 'POST', url: service.realm, headers, body: form.toString() }
}

function scopesOf({ scope }: TokenService): string[] {
  return scope === undefined ? [] : scope.split(' ').filter((part) => part !== '')
}

function parseToken(body: Buffer, { realm }: TokenService): Token {
  let answer: unknown
  try {
    answer = JSON.parse(body.toString('utf8'))
  } catch {
    throw badToken(realm, 'its answer is not JSON') // the cause would quote the token
  }
  const { token, access_token: accessToken, expires_in: life } = isObject(answer) ? answer : {}
  const value = token || accessToken
  if (typeof value !== 'string' || !/^[\x21-\x7e]+$/.test(value)) {
    throw badToken(realm, 'its answer has no usable token')
  }
  const seconds =
    typeof life === 'number' && life > DEFAULT_LIFE_SECONDS ? life : DEFAULT_LIFE_SECONDS
  return { value, expiresAt: performance.now() + seconds * 1000 }
}

function badToken(realm: URL, why: string): RegistryError {
  return new RegistryError('ERR_REGISTRY_PROTOCOL', `cannot log in at ${realm.host}: ${why}`, {
    host: realm.host,
    url: realm.href,
  })
}

function refused(
  registry: string,
  credentials: Credentials | undefined,
  cause: RegistryError,
): RegistryError {
  const [message, hint] =
    credentials === undefined
      ? [`${registry} gives no access without credentials`, 'log in first']
      : [`${registry} refuses the stored credentials`, 'log in again']
  const { host, method, url, status, errors } = cause
  return new RegistryError('ERR_REGISTRY_UNAUTHORIZED', message, {
    hint: `${hint}: podman login ${registry} or docker login ${registry}`,
    host,
    method,
    url,
    status,
    errors,
    cause,
  })
}
