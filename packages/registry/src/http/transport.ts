import { isIP } from 'node:net'
import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { throwIfAborted } from '../abort.ts'
import { RegistryError } from '../errors.ts'
import type { TlsSettings } from '../hosts/endpoint.ts'
import { redactUrl } from '../redact.ts'
import { traced } from '../tracing.ts'
import type { AddressZone } from './address.ts'
import { createDispatchers } from './dispatcher.ts'
import { RefusedAddress, type ResolveName } from './guarded-connect.ts'
import { refusedAddress, unsafeHopError } from './hop-error.ts'
import { createHopGuard } from './hop-guard.ts'
import { type PlainHttpRule, unsafeHop } from './host-rules.ts'
import { networkError } from './network-error.ts'
import type { Lead, NetworkPolicy } from './network-policy.ts'
import { type ProxySettings, proxyFor } from './proxy.ts'

/** The methods of the distribution protocol. */
export type HttpMethod = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** A body too large for memory; opened once for every time the request is sent. */
export interface StreamedBody {
  /** In bytes: exactly as many as `open` gives, sent as `Content-Length`. */
  size: number
  open(): AsyncIterable<Uint8Array>
}

/** What a request carries; text is a form, which is never sent on to where a redirect leads. */
export type RequestBody = string | Uint8Array | StreamedBody

/** A request as the client makes it. */
export interface HttpRequest {
  method: HttpMethod
  url: URL
  /** By lower-case name. */
  headers?: Record<string, string>
  body?: RequestBody | undefined
  /** Set if the server has to store something large before it can answer: then it has five times as long. */
  commits?: boolean | undefined
  signal?: AbortSignal | undefined
  /** Who led to this URL, if the caller did not name it: then it must be a place that they may lead to. */
  led?: Lead | undefined
  /** How TLS is spoken with this host. Default: as the host's own rules say. */
  tls?: TlsSettings | undefined
}

/** The final answer, after redirects; its body must be read or cancelled. */
export interface HttpResponse {
  status: number
  /** By lower-case name. */
  headers: Record<string, string | string[] | undefined>
  /** Where the answer came from. */
  url: URL
  body: AsyncIterable<Uint8Array>
  /** Drop the body; idempotent. */
  cancel(): void
}

/** How long to wait, in milliseconds. */
export interface Timeouts {
  /** For a connection. Default 15 000. */
  connectMs?: number
  /** For the head of an answer. Default 60 000; five times as long where a blob is stored before it. */
  headersMs?: number
  /** Between two pieces of a body. Default 60 000. */
  bodyMs?: number
}

/** Options of {@link createTransport}. */
export interface TransportOptions {
  /** Sent as `User-Agent`. */
  userAgent?: string
  /** Certificate authorities in PEM, trusted besides Node's own. */
  ca?: string | string[]
  proxy?: ProxySettings
  timeouts?: Timeouts
  /** Use this dispatcher of undici for everything; it is not closed, and `ca` and `proxy` are its business. */
  dispatcher?: Dispatcher
  /** Hosts (`host` or `host:port`) that may be spoken to without TLS. */
  plainHttp?: string[]
  /** Where registries may lead the client. */
  network?: NetworkPolicy
  /** In place of `dns.lookup`. What it answers is checked like every address. */
  resolveName?: ResolveName
}

/** What a transport is given by this package itself. */
export interface TransportSeams {
  /** How TLS is spoken with hosts that registries lead to. */
  tlsOf?: (host: string) => Promise<TlsSettings>
  /** For tests, which have nothing but loopback. */
  zoneOf?: (address: string) => AddressZone
}

/** HTTP with redirects and typed errors, and nothing that is about registries. */
export interface Transport extends PlainHttpRule {
  /** Throws `ERR_REGISTRY_UNREACHABLE` and the other network codes, `ERR_REGISTRY_UNSAFE_REDIRECT`, `ERR_REGISTRY_ABORTED`. */
  request(request: HttpRequest): Promise<HttpResponse>
  /** Cut all connections. */
  close(): Promise<void>
}

const MAX_REDIRECTS = 10
const COMMIT_PATIENCE = 5
const REDIRECTS = new Set([301, 302, 303, 307, 308])

/** Make a transport; undici is loaded with the first request. */
export function createTransport(
  options: TransportOptions = {},
  { tlsOf = async () => ({}), zoneOf }: TransportSeams = {},
): Transport {
  const { userAgent = 'cromwell', timeouts = {}, network = {}, dispatcher: given } = options
  const rule: PlainHttpRule = {
    plainHttp: new Set(options.plainHttp ?? []),
    trustedHosts: new Set(network.trustedRealms ?? []),
  }
  const guard = createHopGuard(network, zoneOf)
  let opened: ReturnType<typeof createDispatchers> | undefined
  let closed = false

  function open() {
    const { resolveName, ca = [] } = options
    const connectMs = timeouts.connectMs ?? 15_000
    opened ??= createDispatchers({ given, ca: [ca].flat(), connectMs, guard, resolveName })
    return opened
  }

  /** Where nobody sees the address that is connected to, it can only be judged if it stands in the URL. */
  function checkUnseen({ url, method, led }: HttpRequest & { led: Lead }): void {
    const host = bareHost(url)
    if (isIP(host) === 0) return
    const { protocol } = url
    const reason = guard.refusal({ host, port: portOf(url), protocol, by: bareHost(led.by) }, host)
    if (reason !== undefined) throw unsafeHopError(led, { method, url }, reason)
  }

  async function routeOf(request: SentRequest) {
    const { url, led, named } = request
    const proxy = given ? undefined : proxyFor(url, options.proxy ?? {})
    const tls = await tlsFor(request)
    if (led === undefined || url.origin === named.origin) return { proxy, tls }
    if (proxy !== undefined || given !== undefined) checkUnseen({ ...request, led })
    return { proxy, tls, by: bareHost(led.by) }
  }

  /** A private authority usually signs for the token service and the storage, too. Nothing else goes along. */
  async function tlsFor({ url, named, tls }: SentRequest): Promise<TlsSettings> {
    if (tls !== undefined && url.host === named.host) return tls
    const own = await tlsOf(url.host)
    const ca = [...(own.ca ?? []), ...(tls?.ca ?? [])]
    return ca.length === 0 ? own : { ...own, ca }
  }

  async function send(request: SentRequest): Promise<HttpResponse> {
    const { method, url, signal, led } = request
    throwIfAborted(signal)
    if (closed) throw new RegistryError('ERR_REGISTRY_CLOSED', 'the registry client is closed')
    const dispatchers = await open()
    const route = await routeOf(request)
    const failed = { method, url, signal, proxied: route.proxy !== undefined }
    try {
      const response = await dispatchers.dispatcherFor(route).request({
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method,
        headers: {
          'user-agent': userAgent,
          'accept-encoding': 'identity',
          ...request.headers,
          ...bodyHeaders(request.body),
        },
        body: openBody(request.body),
        headersTimeout: (timeouts.headersMs ?? 60_000) * (request.commits ? COMMIT_PATIENCE : 1),
        bodyTimeout: timeouts.bodyMs ?? 60_000,
        ...(signal === undefined ? {} : { signal }),
      })
      const cancel = () => {
        response.body.on('error', () => {}).destroy()
      }
      const pieces = typedErrors(response.body, failed)
      return { status: response.statusCode, headers: response.headers, url, body: pieces, cancel }
    } catch (error) {
      if (error instanceof RefusedAddress) throw refusedAddress(led, { method, url }, error.reason)
      throw networkError(error, failed)
    }
  }

  async function follow(request: HttpRequest): Promise<HttpResponse> {
    const { led, url, method } = request
    const reason = led && unsafeHop(led.by, url, rule)
    if (led && reason) throw unsafeHopError(led, { method, url }, reason)
    let current: SentRequest = { ...request, named: led?.by ?? url }
    for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
      const response = await send(current)
      const { status } = response
      const location = REDIRECTS.has(status) && response.headers['location']
      if (typeof location !== 'string') return response
      response.cancel()
      current = redirected(current, url, { location, status, rule })
    }
    throw unsafeRedirect(current, current.url, `more than ${MAX_REDIRECTS} redirects`)
  }

  return {
    ...rule,
    request(request) {
      const describe = () => ({ method: request.method, url: redactUrl(request.url.href) })
      return traced('request', describe, async (trace) => {
        const response = await follow(request)
        if (trace !== undefined) trace.status = response.status
        return response
      })
    },
    async close() {
      closed = true
      await (await opened?.catch(() => undefined))?.close()
    },
  }
}

/** A request on its way through redirects. */
interface SentRequest extends HttpRequest {
  /** What the caller named, or who leads from there: only its origin is beyond doubt. */
  named: URL
}

interface Redirect {
  location: string
  status: number
  rule: PlainHttpRule
}

function redirected(request: SentRequest, first: URL, redirect: Redirect): SentRequest {
  const { location, status, rule } = redirect
  const { url: by } = request
  if (!URL.canParse(location, by.href)) {
    throw unsafeRedirect(request, by, 'the location is not a URL')
  }
  const url = new URL(location, by)
  const reason = unrepeatable(request, status) ?? unsafeHop(by, url, rule)
  if (reason !== undefined) throw unsafeRedirect(request, url, reason)
  const headers = headersFor(request.headers ?? {}, url.origin === first.origin)
  return { ...request, url, headers, led: { by, as: 'redirect' } }
}

/** What any server may see; all else, credentials and what is configured for a host, stays with its origin. */
const HARMLESS_HEADERS = new Set(['accept', 'content-range', 'content-type', 'range'])

function headersFor(headers: Record<string, string>, isOwn: boolean): Record<string, string> {
  if (isOwn) return headers
  return Object.fromEntries(Object.entries(headers).filter(([name]) => HARMLESS_HEADERS.has(name)))
}

function bareHost(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '')
}

function portOf(url: URL): number {
  return Number(url.port) || (url.protocol === 'https:' ? 443 : 80)
}

/** Only 307 and 308 mean the same request again; the others would make it a GET (RFC 9110, section 15.4). */
function unrepeatable({ method, body }: HttpRequest, status: number): string | undefined {
  if (typeof body === 'string') return 'a form is not sent on'
  if (method === 'GET' || method === 'HEAD' || status === 307 || status === 308) return undefined
  return `status ${status} does not repeat a ${method}`
}

/** A stream and not the iterable, since undici closes it however the request ends. */
function openBody(body: RequestBody | undefined): string | Uint8Array | Readable | null {
  if (body === undefined) return null
  if (typeof body === 'string' || body instanceof Uint8Array) return body
  return body.size === 0 ? new Uint8Array() : Readable.from(body.open())
}

/** Without a length undici would send in chunks, which upload servers refuse. */
function bodyHeaders(body: RequestBody | undefined): Record<string, string> {
  if (body === undefined || typeof body === 'string') return {}
  const size = body instanceof Uint8Array ? body.byteLength : body.size
  return { 'content-length': String(size) }
}

function unsafeRedirect({ method, url: by }: HttpRequest, url: URL, reason: string): RegistryError {
  return unsafeHopError({ by, as: 'redirect' }, { method, url }, reason)
}

async function* typedErrors(
  body: AsyncIterable<Uint8Array>,
  failed: Parameters<typeof networkError>[1],
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* body
  } catch (error) {
    throw networkError(error, failed)
  }
}
