import { abortable } from '../abort.ts'
import { type AuthTarget, createAuthorizer } from '../auth/authorizer.ts'
import { parseChallenges } from '../auth/challenge.ts'
import { isRegistryError, RegistryError, type RegistryErrorCode } from '../errors.ts'
import { apiHost, isLoopbackHost, unsafeHop } from '../http/host-rules.ts'
import { isNotTls } from '../http/network-error.ts'
import { statusError } from '../http/response.ts'
import { type Retry, withRetry } from '../http/retry.ts'
import type { HttpMethod, HttpResponse, RequestBody, Transport } from '../http/transport.ts'
import { redactText, redactUrl } from '../redact.ts'
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
  /** What a token must be good for, as in {@link AuthTarget}. Default: reading the repository. */
  scopes?: readonly string[] | undefined
  /** What could not be done, to what, should it fail. */
  action: string
  reference?: string
  signal?: AbortSignal | undefined
  onRetry?: ((retry: Retry) => void) | undefined
  /** Statuses besides 2xx that the caller deals with. */
  accept?: number[]
  /** Set if the caller repeats the request itself. */
  once?: boolean
}

/** Make a request to a registry; everything but the wanted answer is thrown. */
export type Exchange = (request: ApiRequest) => Promise<HttpResponse>

/** Requests with authentication, retries and typed errors. */
export function createExchange(
  transport: Transport,
  options: RegistryClientOptions,
  limits: RateLimits,
): Exchange {
  const { onEvent } = options
  const authorizer = createAuthorizer(transport, options.credentials)
  const bases = new Map<string, Promise<URL>>()

  function baseOf(registry: string): Promise<URL> {
    const found = bases.get(registry) ?? findBase(transport, registry)
    bases.set(registry, found)
    found.catch(() => bases.delete(registry))
    return found
  }

  async function send(request: ApiRequest, target: AuthTarget, authorization?: string) {
    const { method, path, repository, signal, headers, body } = request
    const api = new URL(repository === undefined ? path : `${repository}/${path}`, target.base)
    const url = request.url ?? api
    const reason = unsafeHop(target.base, url, transport)
    if (reason !== undefined) throw unsafeUpload(request, url, reason)
    const start = performance.now()
    const credentials = authorization === undefined ? {} : { authorization }
    const response = await transport.request({
      method,
      url,
      body,
      signal,
      headers: { ...headers, ...credentials },
    })
    const durationMs = Math.round(performance.now() - start)
    const { status } = response
    onEvent?.({ type: 'request', method, url: redactUrl(url.href), status, durationMs })
    const { registry } = request
    const limit = limits.note(registry, response)
    if (limit !== undefined) onEvent?.({ type: 'rate-limit', registry, ...limit })
    for (const message of warningsOf(response)) onEvent?.({ type: 'warning', message })
    return response
  }

  async function attempt(request: ApiRequest): Promise<HttpResponse> {
    const { registry, repository, signal, accept = [], action, method, reference } = request
    const base = await abortable(baseOf(registry), signal)
    const target: AuthTarget = { registry, repository, base, signal, scopes: request.scopes }
    // Whoever a session's address belongs to: what is not the registry learns no credentials (CVE-2026-50151).
    const own = request.url === undefined || request.url.origin === base.origin
    let authorization = own ? await abortable(authorizer.authorization(target), signal) : undefined
    let response = await send(request, target, authorization)
    if (await isWorthAnswering(response, target, authorization)) {
      response.cancel()
      authorization = await abortable(authorizer.authorization(target), signal)
      response = await send(request, target, authorization)
    }
    const { status } = response
    if ((status >= 200 && status < 300) || accept.includes(status)) return response
    const repeatable = response.url.host !== base.host
    const refused = authorization?.startsWith('Basic ') ?? false
    const secrets = authorizer.secrets()
    throw await statusError(response, { action, method, reference, secrets, repeatable, refused })
  }

  /** A 401 of a host that a redirect led to is no matter between the registry and us. */
  async function isWorthAnswering(response: HttpResponse, target: AuthTarget, used?: string) {
    if (response.status !== 401 || response.url.origin !== target.base.origin) return false
    const challenges = parseChallenges(response.headers['www-authenticate'])
    try {
      return await abortable(authorizer.accept(target, challenges, used), target.signal)
    } catch (error) {
      response.cancel()
      throw error
    }
  }

  return (request) => {
    if (request.once) return attempt(request)
    const { signal } = request
    const onRetry = (retry: Retry) => {
      const { attempt: number, delayMs, error } = retry
      onEvent?.({ type: 'retry', attempt: number, delayMs, reason: error.message })
      request.onRetry?.(retry)
    }
    return withRetry(() => attempt(request), { policy: options.retry, signal, onRetry })
  }
}

function unsafeUpload({ action, method }: ApiRequest, url: URL, reason: string): RegistryError {
  return new RegistryError(
    'ERR_REGISTRY_UNSAFE_REDIRECT',
    `${action}: the registry wants it sent to ${url.origin}, which is refused: ${reason}`,
    { method, url: url.href, host: url.host, hint: UNSAFE_UPLOAD_HINT },
  )
}

const UNSAFE_UPLOAD_HINT =
  'a registry behind a proxy must know its own address: X-Forwarded-Proto, or relative URLs'

/** TLS, except for hosts named by the caller, and for this machine if the registry there has none. */
async function findBase(transport: Transport, registry: string): Promise<URL> {
  const host = apiHost(registry)
  const secure = new URL(`https://${host}/v2/`)
  const plain = new URL(`http://${host}/v2/`)
  if (transport.plainHttp.has(host)) return plain
  if (!isLoopbackHost(host)) return secure
  try {
    const response = await transport.request({ method: 'GET', url: plain })
    response.cancel()
    // This is how servers of TLS answer those who do not speak it.
    return response.status === 400 && (await speaksTls(transport, secure)) ? secure : plain
  } catch (error) {
    if (error instanceof RegistryError && ANSWERED_OTHERWISE.has(error.code)) {
      if (await speaksTls(transport, secure)) return secure
    }
    throw error
  }
}

const ANSWERED_OTHERWISE = new Set<RegistryErrorCode>([
  'ERR_REGISTRY_UNREACHABLE',
  'ERR_REGISTRY_PROTOCOL',
])

/** A certificate that is not trusted is TLS too; the request proper then says so. */
async function speaksTls(transport: Transport, url: URL): Promise<boolean> {
  try {
    ;(await transport.request({ method: 'GET', url })).cancel()
    return true
  } catch (error) {
    return isRegistryError(error, 'ERR_REGISTRY_TLS') && !isNotTls(error)
  }
}

/** Source: distribution-spec, "Warnings"; RFC 7234, section 5.5. */
function warningsOf({ headers }: HttpResponse): string[] {
  const texts = [headers['warning'] ?? []].flat()
  return texts.flatMap((text) => {
    const quoted = /^299 - "((?:[^"\\]|\\.)*)"/.exec(text)?.[1]
    return quoted === undefined ? [] : [redactText(quoted.replace(/\\(.)/g, '$1').slice(0, 500))]
  })
}
