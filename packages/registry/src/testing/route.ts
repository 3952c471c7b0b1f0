import type { Endpoint } from './fault.ts'

/** A request's path, taken apart. */
export interface Route {
  /** Undefined where the specification has nothing. */
  endpoint: Endpoint | undefined
  repository: string | undefined
  /** Tag, digest or upload session; empty where there is none. */
  reference: string
}

const PATTERNS: ReadonlyArray<readonly [Endpoint, RegExp]> = [
  ['ping', /^\/v2\/?$/],
  ['catalog', /^\/v2\/_catalog$/],
  ['tags', /^\/v2\/(.+)\/tags\/list$/],
  ['upload', /^\/v2\/(.+)\/blobs\/uploads(?:\/([^/]*))?$/],
  ['manifest', /^\/v2\/(.+)\/manifests\/([^/]+)$/],
  ['blob', /^\/v2\/(.+)\/blobs\/([^/]+)$/],
  ['referrers', /^\/v2\/(.+)\/referrers\/([^/]+)$/],
]

/** What the path of a request to a registry asks for (distribution-spec, "Endpoints"). */
export function parseRoute(pathname: string): Route {
  for (const [endpoint, pattern] of PATTERNS) {
    const match = pattern.exec(pathname)
    if (match === null) continue
    const [, repository, reference = ''] = match
    return { endpoint, repository, reference: decoded(reference) }
  }
  return { endpoint: undefined, repository: undefined, reference: '' }
}

/** The text without percent-encoding; as it is, if that is malformed. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const NAME_PART = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*'
const NAME = new RegExp(`^${NAME_PART}(?:/${NAME_PART})*$`)
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/

/** Whether the text may be the name of a repository (distribution-spec, "Pulling manifests"). */
export function isRepositoryName(text: string): boolean {
  return text.length <= 255 && NAME.test(text)
}

/** Whether the text may be a tag (distribution-spec, "Pulling manifests"). */
export function isTag(text: string): boolean {
  return TAG.test(text)
}
