import type { IncomingMessage, ServerResponse } from 'node:http'
import { AccessControl, type AccessOptions } from './access.ts'
import { type Answer, errorAnswer, failure } from './answer.ts'
import type { Call, ContentOptions, Holdings } from './call.ts'
import { answerCall, scopesOf } from './dispatch.ts'
import { redirectAnswer } from './distort.ts'
import { FaultPlan } from './fault.ts'
import { PresignedUrls, type UrlLife } from './presigned-urls.ts'
import { RateLimit, type RateLimitOptions } from './rate-limit.ts'
import { parseRoute, type Route } from './route.ts'
import { type LoggedRequest, serve } from './serve.ts'

/** How a test registry behaves. */
export interface ServerOptions extends AccessOptions, ContentOptions {
  /** Whether blobs are served by another host, which the registry redirects to, and how long its URLs are good. Default false. */
  redirectBlobs?: boolean | UrlLife
  /** Whether the token service is another server, or part of the registry. Default `beside`. */
  tokenService?: 'beside' | 'registry'
  /** How many manifests may be read. Default: any number, and nothing is said about it. */
  rateLimit?: RateLimitOptions
  /** What the registry warns of in every answer. */
  warnings?: string[]
}

/** What the HTTP servers of a test registry do with a request. */
export class RegistryServer {
  readonly requests: LoggedRequest[] = []
  readonly faults = new FaultPlan()
  readonly access: AccessControl
  /** Where the storage and the token service beside the registry listen, such as `http://127.0.0.1:1234`. */
  storage = ''
  readonly #options: ServerOptions
  readonly #holdings: Holdings
  readonly #urls = new PresignedUrls()
  readonly #rateLimit: RateLimit | undefined

  constructor(options: ServerOptions, holdings: Holdings) {
    this.#options = options
    this.#holdings = holdings
    this.access = new AccessControl(options)
    this.#rateLimit = options.rateLimit && new RateLimit(options.rateLimit)
  }

  /** Answer a request to the registry. */
  async answerRegistry(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = urlOf(request)
    if (url.pathname === '/token' && this.#options.tokenService === 'registry') {
      return this.#answerToken(request, response, url)
    }
    const route = parseRoute(url.pathname)
    const endpoint = this.#redirectsByRule(route, request.method) ? 'redirect' : route.endpoint
    const arrival = { server: 'registry', request, response, url, route, endpoint } as const
    return serve(arrival, this, async (call) => {
      const answer = await this.#judge(request, route, call)
      return { ...answer, headers: { ...this.#usualHeaders(), ...answer.headers } }
    })
  }

  /** Answer a request to the server beside the registry: token service and blob storage. */
  async answerSide(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = urlOf(request)
    if (url.pathname === '/token') return this.#answerToken(request, response, url)
    const route = parseRoute(url.pathname)
    const { endpoint } = route
    const arrival = { server: 'storage', request, response, url, route, endpoint } as const
    return serve(arrival, this, (call) => this.#judgeStorage(route, call))
  }

  #answerToken(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const route = { endpoint: 'token', repository: undefined, reference: '' } as const
    const { endpoint } = route
    const arrival = { server: 'token', request, response, url, route, endpoint } as const
    return serve(arrival, this, async ({ method, body }) => {
      if (method !== 'POST') return this.access.token(request, url, undefined)
      const chunks: Uint8Array[] = []
      for await (const chunk of body) chunks.push(chunk)
      return this.access.token(request, url, new URLSearchParams(`${Buffer.concat(chunks)}`))
    })
  }

  async #judge(request: IncomingMessage, route: Route, call: Call): Promise<Answer> {
    const scopes = scopesOf(route, call.method, call.url)
    const denied = this.access.check(request, scopes, this.#realm(request))
    if (denied !== undefined) return denied
    const limited =
      route.endpoint === 'manifest' && isReading(call.method)
        ? this.#rateLimit?.count(call.method)
        : undefined
    if (limited?.refusal !== undefined) return limited.refusal
    const answer = this.#redirect(route, call) ?? (await answerCall(this.#holdings, route, call))
    return { ...answer, headers: { ...limited?.headers, ...answer.headers } }
  }

  /** A storage knows nothing of the registry's tokens, and refuses requests that carry one. */
  async #judgeStorage(route: Route, call: Call): Promise<Answer> {
    if (call.headers.authorization !== undefined) {
      return errorAnswer(400, 'UNSUPPORTED', 'only one way to authenticate is allowed')
    }
    // The URL of an upload has a secret of its own.
    if (route.endpoint !== 'upload' && !this.#urls.redeem(call.url)) {
      return failure('DENIED', 'the URL is not signed, or no longer good')
    }
    return answerCall(this.#holdings, route, call)
  }

  #redirect(route: Route, call: Call): Answer | undefined {
    const { url, fault, storage } = call
    const path = url.pathname
    if (fault?.type === 'redirect') {
      const { to, status } = fault
      if (to instanceof URL) return redirectAnswer(to.href, status)
      if (to === 'itself') return redirectAnswer(path + url.search, status)
      const origin = to === 'storage' ? storage : storage.replace('127.0.0.1', 'localhost')
      return redirectAnswer(origin + this.#urls.sign(path, fault), status)
    }
    if (!this.#redirectsByRule(route, call.method)) return undefined
    const { redirectBlobs } = this.#options
    if (this.#holdings.repositories.blob(call.repository, call.reference) === undefined) {
      return undefined
    }
    const life = typeof redirectBlobs === 'object' ? redirectBlobs : {}
    return redirectAnswer(storage + this.#urls.sign(path, life))
  }

  #redirectsByRule({ endpoint }: Route, method = 'GET'): boolean {
    return endpoint === 'blob' && isReading(method) && Boolean(this.#options.redirectBlobs)
  }

  #realm({ headers, socket }: IncomingMessage): string {
    if (this.#options.tokenService !== 'registry') return `${this.storage}/token`
    return `${'encrypted' in socket ? 'https' : 'http'}://${headers.host}/token`
  }

  #usualHeaders(): Answer['headers'] {
    const { warnings = [] } = this.#options
    const warning = warnings.map((text) => `299 - "${text.replace(/["\\]/g, '\\$&')}"`)
    return {
      'docker-distribution-api-version': 'registry/2.0',
      ...(warning.length > 0 ? { warning } : {}),
    }
  }
}

function isReading(method: string): boolean {
  return method === 'GET' || method === 'HEAD'
}

/** The URL of a request; a path that is none leads nowhere. */
function urlOf({ url = '/' }: IncomingMessage): URL {
  const base = 'http://registry'
  return URL.canParse(url, base) ? new URL(url, base) : new URL(base)
}
