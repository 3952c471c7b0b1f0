import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { throwIfAborted } from '../abort.ts'
import { RegistryError } from '../errors.ts'
import { redactUrl } from '../redact.ts'
import { traced } from '../tracing.ts'
import { createDispatcher } from './dispatcher.ts'
import { type PlainHttpRule, unsafeHop } from './host-rules.ts'
import { networkError } from './network-error.ts'
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
  signal?: AbortSignal | undefined
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
  /** For the head of an answer. Default 60 000. */
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
}

/** HTTP with redirects and typed errors, and nothing that is about registries. */
export interface Transport extends PlainHttpRule {
  /** Throws `ERR_REGISTRY_UNREACHABLE` and the other network codes, `ERR_REGISTRY_UNSAFE_REDIRECT`, `ERR_REGISTRY_ABORTED`. */
  request(request: HttpRequest): Promise<HttpResponse>
  /** Cut all connections. */
  close(): Promise<void>
}

const MAX_REDIRECTS = 10
const REDIRECTS = new Set([301, 302, 303, 307, 308])

/** Make a transport; undici is loaded with the first request. */
export function createTransport(options: TransportOptions = {}): Transport {
  const plainHttp = new Set(options.plainHttp ?? [])
  const { userAgent = 'cromwell', timeouts = {} } = options
  let opened: ReturnType<typeof createDispatcher> | undefined
  let closed = false

  async function send(request: HttpRequest): Promise<HttpResponse> {
    const { method, url, signal } = request
    throwIfAborted(signal)
    if (closed) throw new RegistryError('ERR_REGISTRY_CLOSED', 'the registry client is closed')
    opened ??= createDispatcher(options)
    const proxy = options.dispatcher ? undefined : proxyFor(url, options.proxy ?? {})
    const failed = { method, url, signal, proxied: proxy !== undefined }
    try {
      const dispatcher = (await opened).dispatcherFor(proxy)
      const response = await dispatcher.request({
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
        headersTimeout: timeouts.headersMs ?? 60_000,
        bodyTimeout: timeouts.bodyMs ?? 60_000,
        ...(signal === undefined ? {} : { signal }),
      })
      const cancel = () => {
        response.body.on('error', () => {}).destroy()
      }
      const pieces = typedErrors(response.body, failed)
      return { status: response.statusCode, headers: response.headers, url, body: pieces, cancel }
    } catch (error) {
      throw networkError(error, failed)
    }
  }

  async function follow(request: HttpRequest): Promise<HttpResponse> {
    let current = request
    for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
      const response = await send(current)
      const { status } = response
      const location = REDIRECTS.has(status) && response.headers['location']
      if (typeof location !== 'string') return response
      response.cancel()
      current = redirected(current, request.url, { location, status, plainHttp })
    }
    throw unsafeRedirect(current, `more than ${MAX_REDIRECTS} redirects`)
  }

  return {
    plainHttp,
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

function redirected(
  request: HttpRequest,
  origin: URL,
  { location, status, plainHttp }: PlainHttpRule & { location: string; status: number },
): HttpRequest {
  if (!URL.canParse(location, request.url.href))
    throw unsafeRedirect(request, 'the location is not a URL')
  const url = new URL(location, request.url)
  const reason = unrepeatable(request, status) ?? unsafeHop(request.url, url, { plainHttp })
  if (reason !== undefined) throw unsafeRedirect({ ...request, url }, reason)
  const { authorization, ...others } = request.headers ?? {}
  const keep = authorization !== undefined && url.origin === origin.origin
  return { ...request, url, headers: keep ? { ...others, authorization } : others }
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

function unsafeRedirect({ method, url }: HttpRequest, reason: string): RegistryError {
  return new RegistryError(
    'ERR_REGISTRY_UNSAFE_REDIRECT',
    `a redirect to ${url.origin} is not followed: ${reason}`,
    { method, url: url.href, host: url.host, hint: 'report it to who runs the registry' },
  )
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
