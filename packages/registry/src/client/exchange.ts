import { abortable, allowListeners } from '../abort.ts'
import { type AuthTarget, createAuthorizer } from '../auth/authorizer.ts'
import { parseChallenges, wantsScope } from '../auth/challenge.ts'
import { maskError } from '../auth/mask-error.ts'
import { type EndpointFailure, RegistryError } from '../errors.ts'
import type { Endpoint, HostResolver } from '../hosts/endpoint.ts'
import { createLimiter } from '../http/limiter.ts'
import type { Lead } from '../http/network-policy.ts'
import { inMemory, statusError, warningsOf } from '../http/response.ts'
import { type Retry, withRetry } from '../http/retry.ts'
import type { HttpMethod, HttpResponse, RequestBody, Transport } from '../http/transport.ts'
import { assertReference } from '../image/reference.ts'
import { maskSecrets, redactUrl } from '../redact.ts'
import { findBase } from './api-base.ts'
import {
  asksForTag,
  chooseEndpoints,
  createEndpointHealth,
  queryOf,
  withFailures,
} from './endpoint-choice.ts'
import type { RateLimits } from './rate-limit.ts'
import type { RegistryClientOptions } from './registry-client.ts'

/** A request to a registry's API, as the endpoints make it. */
export interface ApiRequest {
  registry: string
  repository?: string
  /** What follows the repository in the URL, or `/v2/` if there is none. */
  path: string
  /** An upload session's address, asked instead of `path`: with credentials only at the registry's own origin. */
  url?: URL | undefined
  method: HttpMethod
  headers?: Record<string, string>
  body?: RequestBody | undefined
  /** Set if the registry has to store a blob before it can answer. */
  commits?: boolean
  /** What a token must be good for, as in {@link AuthTarget}. Default: reading the repository. */
  scopes?: readonly string[] | undefined
  /** Set if what is written next hangs on the answer: then no mirror is asked. */
  beforeWrite?: boolean | undefined
  /** What could not be done, to what, should it fail. */
  action: string
  reference?: string
  signal?: AbortSignal | undefined
  onRetry?: ((retry: Retry) => void) | undefined
  /** Statuses besides 2xx that the caller deals with. */
  accept?: number[]
  /** Set if the answer is a document, which is read as a whole: a transfer that breaks is tried again. */
  document?: { limit: number; what: string } | undefined
  /** Set if the caller repeats the request itself. */
  once?: boolean
}

/** Make a request to a registry; everything but the wanted answer is thrown. */
export type Exchange = (request: ApiRequest) => Promise<HttpResponse>

/** What {@link createExchange} works with. */
export interface ExchangeOptions extends RegistryClientOptions {
  resolver: HostResolver
  limits: RateLimits
}

/** Requests to the endpoints of a registry, one after the other, with authentication, retries and typed errors. */
export function createExchange(transport: Transport, options: ExchangeOptions): Exchange {
  const { onEvent, limits, resolver } = options
  const authorizer = createAuthorizer(transport, options.credentials)
  const limiter = createLimiter(options.concurrency)
  const health = createEndpointHealth()
  const bases = new Map<string, Promise<URL>>()
  /** Repositories of which a tag was asked for: what it stands for may come from mirrors for tags only. */
  const tagged = new Set<string>()
  let common: Promise<Record<string, string>> | undefined

  function baseOf(endpoint: Endpoint): Promise<URL> {
    const key = `${endpoint.scheme} ${endpoint.base.href}`
    const found = bases.get(key) ?? findBase(transport, endpoint)
    bases.set(key, found)
    found.catch(() => bases.delete(key))
    return found
  }

  async function send(request: ApiRequest, at: Place, authorization?: string) {
    const { method, signal, headers, body, commits } = request
    const { endpoint, url, led } = at
    const start = performance.now()
    const credentials = authorization === undefined ? {} : { authorization }
    common ??= options.credentials?.headers?.()
    const own = led === undefined ? { ...(await common), ...endpoint.headers } : {}
    const response = await transport.request({
      method,
      url,
      body,
      commits,
      signal,
      led,
      tls: endpoint.tls,
      headers: { ...own, ...headers, ...credentials },
    })
    const durationMs = Math.round(performance.now() - start)
    const { status } = response
    onEvent?.({ type: 'request', method, url: redactUrl(url.href), status, durationMs })
    const limit = limits.note(endpoint.registry, response)
    if (limit !== undefined)
      onEvent?.({ type: 'rate-limit', registry: endpoint.registry, ...limit })
    for (const text of warningsOf(response)) {
      onEvent?.({ type: 'warning', message: maskSecrets(text, authorizer.secrets()) })
    }
    return response
  }

  /** Ask one endpoint. */
  async function ask(request: ApiRequest, endpoint: Endpoint): Promise<HttpResponse> {
    const { signal, accept = [], action, method, reference, document } = request
    const base = await abortable(baseOf(endpoint), signal)
    const at = placeOf(request, endpoint, base)
    const { target } = at
    // Whoever a session's address belongs to: what is not the registry learns no credentials (CVE-2026-50151).
    const own = at.led === undefined
    let authorization = own ? await abortable(authorizer.authorization(target), signal) : undefined
    let response = await send(request, at, authorization)
    // The authorizer sees to it that this ends.
    while (await isWorthAnswering(response, target, authorization)) {
      response.cancel()
      authorization = await abortable(authorizer.authorization(target), signal)
      response = await send(request, at, authorization)
    }
    const { status } = response
    if (status >= 200 && status < 300)
      return document === undefined ? response : inMemory(response, document)
    if (accept.includes(status)) return response
    const repeatable = response.url.host !== base.host
    const refused = authorization?.startsWith('Basic ') ?? false
    const secrets = [...authorizer.secrets(), ...Object.values(endpoint.headers ?? {})]
    throw await statusError(response, { action, method, reference, secrets, repeatable, refused })
  }

  /** A 401 of a host that a redirect led to is no matter between the registry and us. */
  async function isWorthAnswering(response: HttpResponse, target: AuthTarget, used?: string) {
    if (response.url.origin !== target.base.origin) return false
    const challenges = parseChallenges(response.headers['www-authenticate'])
    if (response.status !== 401 && !(response.status === 403 && wantsScope(challenges)))
      return false
    try {
      return await abortable(authorizer.accept(target, challenges, used), target.signal)
    } catch (error) {
      response.cancel()
      throw error
    }
  }

  /** A body takes a place until it has been read; a head does not. */
  async function askInTurn(request: ApiRequest, endpoint: Endpoint): Promise<HttpResponse> {
    if (request.method !== 'GET' || !request.path.startsWith('blobs/')) {
      return ask(request, endpoint)
    }
    const release = await limiter.acquire(endpoint.base.host, request.signal)
    try {
      return releasing(await ask(request, endpoint), release)
    } catch (error) {
      release()
      throw error
    }
  }

  async function attempt(request: ApiRequest): Promise<HttpResponse> {
    const all = await abortable(resolver.endpoints(queryOf(request)), request.signal)
    const repository = `${request.registry}/${request.repository}`
    if (asksForTag(request)) tagged.add(repository)
    const endpoints = health.healthy(chooseEndpoints(all, request, tagged.has(repository)))
    const failures: EndpointFailure[] = []
    for (const [index, endpoint] of endpoints.entries()) {
      const next = endpoints[index + 1]
      try {
        // What the caller deals with may only be said by the last.
        const { accept: _, ...strict } = request
        return await askInTurn(next === undefined ? request : strict, endpoint)
      } catch (unmasked) {
        const error = maskError(unmasked, authorizer.secrets())
        if (next === undefined) throw withFailures(error, failures)
        if (!health.failed(endpoint, error)) throw error
        const { code, message: reason } = error
        failures.push({ url: endpoint.base.href, code, message: reason })
        onEvent?.({ type: 'mirror', url: endpoint.base.href, next: next.base.href, reason })
      }
    }
    throw new Error('unreachable: there is always an endpoint')
  }

  return async (request) => {
    const { signal, registry, repository = 'any' } = request
    assertReference({ registry, repository })
    allowListeners(signal)
    if (request.once) return attempt(request)
    const onRetry = (retry: Retry) => {
      const { attempt: number, delayMs, error } = retry
      onEvent?.({ type: 'retry', attempt: number, delayMs, reason: error.message })
      request.onRetry?.(retry)
    }
    return withRetry(() => attempt(request), { policy: options.retry, signal, onRetry })
  }
}

/** A request's place at an endpoint. */
interface Place {
  endpoint: Endpoint
  target: AuthTarget
  url: URL
  /** Set if the registry led to the URL, and not the caller. */
  led?: Lead
}

function placeOf(request: ApiRequest, endpoint: Endpoint, base: URL): Place {
  const { path, signal, scopes } = request
  const repository = request.repository && endpoint.repository(request.repository)
  const renamed = scopes?.map((scope) => renameScope(scope, endpoint))
  const { registry, tls, scheme } = endpoint
  // Whoever wrote down that a registry has no TLS, or none to rely on, knows what that means for a password.
  const plainHttp = scheme !== 'by-name'
  const target: AuthTarget = { registry, repository, base, signal, scopes: renamed, tls, plainHttp }
  if (request.url !== undefined) {
    const { url } = request
    const led: Lead = { by: base, as: 'upload' }
    return { endpoint, target, url, ...(url.origin === base.origin ? {} : { led }) }
  }
  const url = urlBelow(base, repository === undefined ? path : `${repository}/${path}`)
  for (const [name, value] of Object.entries(endpoint.query ?? {}))
    url.searchParams.set(name, value)
  return { endpoint, target, url }
}

/** Nothing that a name, a tag or a digest is made of leads out of the API, let alone to another host. */
function urlBelow(base: URL, path: string): URL {
  const [plain = ''] = path.split('?')
  const url = URL.canParse(`${base.href}${path}`) ? new URL(`${base.href}${path}`) : undefined
  if (url?.origin === base.origin && url.pathname === `${base.pathname}${plain}`) return url
  const message = `${JSON.stringify(path)} would not be asked for below ${base.href}`
  throw new RegistryError('ERR_REGISTRY_BAD_REFERENCE', message, { host: base.host })
}

/** Repositories may have other names at a mirror. */
function renameScope(scope: string, endpoint: Endpoint): string {
  const [, name, actions] = /^repository:(.+):([^:]+)$/.exec(scope) ?? []
  return name === undefined ? scope : `repository:${endpoint.repository(name)}:${actions}`
}

/** The same answer; the place is given back with its last byte. */
function releasing(response: HttpResponse, release: () => void): HttpResponse {
  async function* body() {
    try {
      yield* response.body
    } finally {
      release()
    }
  }
  const cancel = () => {
    release()
    response.cancel()
  }
  return { ...response, body: body(), cancel }
}
