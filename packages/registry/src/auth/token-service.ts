import { isRegistryError, RegistryError } from '../errors.ts'
import type { TlsSettings } from '../hosts/endpoint.ts'
import { loginCommands, readBody, statusError } from '../http/response.ts'
import type { HttpRequest, HttpResponse, Transport } from '../http/transport.ts'
import { isObject, type JsonObject } from '../image/json-document.ts'
import { type Credentials, encodeBasic } from './credentials.ts'
import type { Scopes } from './scope.ts'

/** Where tokens come from: two parameters of a bearer challenge. */
export interface TokenService {
  realm: URL
  service?: string
}

/** A bearer token. */
export interface Token {
  value: string
  /** What was asked for; the service may have granted less. */
  scopes: Scopes
  /** On the clock of `performance.now()`: the wall clocks of two machines need not agree. */
  expiresAt: number
  /** From when on a new one is fetched instead, so that none ends on its way. */
  renewAt: number
  /** An identity token that came with it. */
  identityToken?: string
}

/** What a token is fetched for, by whom. */
export interface TokenRequest {
  registry: string
  /** The registry's API, which led to the service. */
  base: URL
  tls?: TlsSettings | undefined
  credentials: Credentials | undefined
  scopes: Scopes
  /** Whether to ask for an identity token, too. */
  offline?: boolean
  /** To be masked in what the service says. */
  secrets: Iterable<string>
  signal?: AbortSignal | undefined
}

const MAX_TOKEN_BODY = 1024 * 1024
/** What the token specification tells clients to assume when the service says nothing. */
const DEFAULT_LIFE_SECONDS = 60
const RENEWAL_MARGIN_MS = 5_000
const CLIENT_ID = 'cromwell'
/** The user name by which registries that know no OAuth2 take an identity token for a password. */
const TOKEN_USER = '<token>'

/**
 * Fetch a token: by GET, anonymous or with name and password; by POST with an identity token, and by GET
 * where the service knows no POST.
 *
 * Throws `ERR_REGISTRY_UNAUTHORIZED` if the service refuses the credentials, `ERR_REGISTRY_PROTOCOL` if its answer
 * is of no use, and what the transport throws. Source: distribution, docs/spec/auth/token.md and oauth.md.
 */
export async function fetchToken(
  transport: Transport,
  service: TokenService,
  request: TokenRequest,
): Promise<Token> {
  const { credentials, signal, base, tls } = request
  const send = (wanted: HttpRequest) =>
    transport.request({ ...wanted, led: { by: base, as: 'realm' }, tls, signal })
  const sentAt = performance.now()
  let message =
    credentials?.type === 'identity-token'
      ? postRequest(service, request, credentials.token)
      : getRequest(service, request)
  let response = await send(message)
  if (message.method === 'POST' && (response.status === 404 || response.status === 405)) {
    response.cancel()
    message = getRequest(service, request)
    response = await send(message)
  }
  if (response.status !== 200) throw await failure(response, message, request)
  const body = await readBody(response, MAX_TOKEN_BODY, 'the token')
  return parseToken(body, { service, request, sentAt })
}

function getRequest(service: TokenService, request: TokenRequest): HttpRequest {
  const url = new URL(service.realm)
  if (service.service !== undefined) url.searchParams.set('service', service.service)
  for (const scope of request.scopes) url.searchParams.append('scope', scope)
  if (request.offline) {
    url.searchParams.set('offline_token', 'true')
    url.searchParams.set('client_id', CLIENT_ID)
  }
  const pair = basicPair(request.credentials)
  if (pair === undefined) return { method: 'GET', url }
  url.searchParams.set('account', pair.username)
  const authorization = `Basic ${encodeBasic(pair.username, pair.password)}`
  return { method: 'GET', url, headers: { authorization } }
}

function basicPair(
  credentials: Credentials | undefined,
): { username: string; password: string } | undefined {
  if (credentials?.type === 'password') return credentials
  if (credentials?.type !== 'identity-token') return undefined
  return { username: credentials.username ?? TOKEN_USER, password: credentials.token }
}

function postRequest(
  service: TokenService,
  { scopes, offline }: TokenRequest,
  identityToken: string,
): HttpRequest {
  const form = new URLSearchParams({
    grant_type: 'refresh_token',
    client_id: CLIENT_ID,
    refresh_token: identityToken,
  })
  if (service.service !== undefined) form.set('service', service.service)
  if (scopes.length > 0) form.set('scope', scopes.join(' '))
  if (offline) form.set('access_type', 'offline')
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  return { method: 'POST', url: service.realm, headers, body: form.toString() }
}

function parseToken(
  body: Buffer,
  from: { service: TokenService; request: TokenRequest; sentAt: number },
): Token {
  const { realm } = from.service
  let answer: unknown
  try {
    answer = JSON.parse(body.toString('utf8'))
  } catch {
    throw badToken(realm, 'its answer is not JSON') // the cause would quote the token
  }
  if (!isObject(answer)) throw badToken(realm, 'its answer has no usable token')
  const { token, access_token: accessToken, refresh_token: identityToken } = answer
  const value = token || accessToken
  if (!isTokenText(value)) throw badToken(realm, 'its answer has no usable token')
  const lifeMs = lifeSeconds(answer) * 1000
  // Counted from the question, not from the answer: however slow that was, the token is not kept too long.
  const expiresAt = from.sentAt + lifeMs
  return {
    value,
    scopes: from.request.scopes,
    expiresAt,
    renewAt: expiresAt - Math.min(RENEWAL_MARGIN_MS, lifeMs / 10),
    ...(isTokenText(identityToken) ? { identityToken } : {}),
  }
}

function isTokenText(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]+$/.test(value)
}

/** Some services write the number as text. */
function lifeSeconds({ expires_in: life }: JsonObject): number {
  const seconds = typeof life === 'string' && /^\d+$/.test(life) ? Number(life) : life
  return typeof seconds === 'number' && seconds > 0 ? seconds : DEFAULT_LIFE_SECONDS
}

function badToken(realm: URL, why: string): RegistryError {
  return new RegistryError('ERR_REGISTRY_PROTOCOL', `cannot log in at ${realm.host}: ${why}`, {
    host: realm.host,
    url: realm.href,
  })
}

async function failure(
  response: HttpResponse,
  { method }: HttpRequest,
  { registry, credentials, secrets }: TokenRequest,
): Promise<RegistryError> {
  const action = `cannot log in to ${registry}`
  const error = await statusError(response, { action, method, secrets: [...secrets] })
  const { status } = response
  // By OAuth2 an identity token that is no longer good is a bad request (RFC 6749, section 5.2).
  const isRefusal = status === 401 || status === 403 || (status === 400 && method === 'POST')
  return isRefusal ? refused(registry, credentials, error) : error
}

function refused(
  registry: string,
  credentials: Credentials | undefined,
  cause: RegistryError,
): RegistryError {
  const [what, hint] =
    credentials === undefined
      ? ['gives no access without credentials', 'log in first']
      : ['refuses the stored credentials', 'log in again']
  const { host, method, url, status, errors } = cause
  const [said] = errors ?? []
  const words = said?.message || said?.code
  const message = `${registry} ${what}${words ? ` (${words})` : ''}`
  return new RegistryError('ERR_REGISTRY_UNAUTHORIZED', message, {
    hint: `${hint}: ${loginCommands(registry)}`,
    host,
    method,
    url,
    status,
    errors,
    cause,
  })
}

/** Whether a token service said no to the credentials, and not something else. */
export function isRefusal(error: unknown): boolean {
  return isRegistryError(error, 'ERR_REGISTRY_UNAUTHORIZED')
}
