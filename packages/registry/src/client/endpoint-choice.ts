import { type EndpointFailure, RegistryError, type RegistryErrorCode } from '../errors.ts'
import type { Endpoint, EndpointQuery } from '../hosts/endpoint.ts'
import type { ApiRequest } from './exchange.ts'

/** What a request needs of an endpoint. */
type Need = 'pull' | 'resolve' | 'push' | 'origin'

/** A mirror that cannot be reached is not tried again for so long: every try costs a timeout. */
const PAUSE_MS = 60_000

/** Those of whom it is of no use to ask something else right away. */
const PAUSING = new Set<RegistryErrorCode>([
  'ERR_REGISTRY_NAME_RESOLUTION',
  'ERR_REGISTRY_RATE_LIMITED',
  'ERR_REGISTRY_SERVER',
  'ERR_REGISTRY_TIMEOUT',
  'ERR_REGISTRY_TLS',
  'ERR_REGISTRY_UNREACHABLE',
])

/** What no other endpoint would do better. */
const FINAL = new Set<RegistryErrorCode>([
  'ERR_REGISTRY_ABORTED',
  'ERR_REGISTRY_BLOCKED',
  'ERR_REGISTRY_CLOSED',
  'ERR_REGISTRY_CREDENTIALS',
  'ERR_REGISTRY_HOSTS',
])

/** What endpoints are looked up by for a request. */
export function queryOf({ registry, repository, path }: ApiRequest): EndpointQuery {
  const version = /^manifests\/([^?]+)/.exec(path)?.[1]
  return { registry, repository, version }
}

function needOf({ method, path, repository, scopes = [], beforeWrite }: ApiRequest): Need {
  const writes = scopes.some((scope) => /:(?:.*,)?(?:push|delete|\*)(?:,|$)/.test(scope))
  if (repository === undefined) return 'origin'
  if (writes || beforeWrite || (method !== 'GET' && method !== 'HEAD')) return 'push'
  if (path.startsWith('blobs/') || /^manifests\/[^/]+:/.test(path)) return 'pull'
  return path.startsWith('manifests/') ? 'resolve' : 'origin'
}

/** Whether the request says by a tag what it wants. */
export function asksForTag(request: ApiRequest): boolean {
  return needOf(request) === 'resolve'
}

/**
 * The endpoints that a request may go to, in order; all are tried but for what writes, which goes to one place.
 * `byTag` says whether a tag led to what is asked for: mirrors may be for tags only. Throws `ERR_REGISTRY_HOSTS` if there is none.
 */
export function chooseEndpoints(
  endpoints: readonly Endpoint[],
  request: ApiRequest,
  byTag: boolean,
): Endpoint[] {
  const need = needOf(request)
  const fit = endpoints.filter(({ capabilities, kind, tagsOnly }) => {
    if (need === 'origin') return kind === 'origin' && capabilities.includes('resolve')
    return capabilities.includes(need) && (!tagsOnly || byTag)
  })
  const [first] = fit
  if (first === undefined) throw nowhere(request, need, endpoints)
  return need === 'push' ? [first] : fit
}

function nowhere({ action, registry }: ApiRequest, need: Need, endpoints: readonly Endpoint[]) {
  const what = need === 'origin' ? 'resolve' : need
  const reasons = endpoints.map(({ because }) => because).join('; ')
  return new RegistryError(
    'ERR_REGISTRY_HOSTS',
    `${action}: no endpoint of ${registry} may be asked to ${what} (${reasons})`,
    { host: registry, hint: `give one of them the capability "${what}"` },
  )
}

/** Remembers which endpoints failed lately. */
export interface EndpointHealth {
  /** Those that are worth asking now; never none. */
  healthy(endpoints: Endpoint[]): Endpoint[]
  /** Whether another endpoint may be asked after this failure of a mirror, which is remembered. */
  failed(endpoint: Endpoint, error: unknown): error is RegistryError
}

/** Keep a record of failures; `now` is replaced by tests. */
export function createEndpointHealth(now = () => performance.now()): EndpointHealth {
  const until = new Map<string, number>()
  const isPaused = ({ base }: Endpoint) => (until.get(base.href) ?? 0) > now()
  return {
    healthy(endpoints) {
      const last = endpoints.length - 1
      return endpoints.filter((endpoint, index) => index === last || !isPaused(endpoint))
    },
    failed({ base }, error): error is RegistryError {
      if (!(error instanceof RegistryError) || FINAL.has(error.code)) return false
      const { code, retryAfterMs = PAUSE_MS } = error
      if (PAUSING.has(code)) until.set(base.href, now() + retryAfterMs)
      return true
    },
  }
}

/** The last endpoint's error, which also says why the ones before it did not help. */
export function withFailures(error: unknown, endpoints: readonly EndpointFailure[]): unknown {
  if (!(error instanceof RegistryError) || endpoints.length === 0) return error
  const before = endpoints.map(({ url, message }) => `${new URL(url).host}: ${message}`)
  const { code, message, cause: _, ...fields } = error
  return new RegistryError(code, `${error.message}; before that, ${before.join('; ')}`, {
    ...fields,
    endpoints: [...endpoints],
    cause: error,
  })
}
