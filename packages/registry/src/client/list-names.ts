import { readBody } from '../http/response.ts'
import { isObject } from '../image/json-document.ts'
import { isReference, parseReference, type Reference, repositoryName } from '../image/reference.ts'
import type { Exchange } from './exchange.ts'
import { badPage, type Listing, listPages } from './pagination.ts'
import type { CallOptions } from './registry-client.ts'
import { CATALOG_SCOPE, repositoryScope } from './scope.ts'

/** Options of {@link RegistryLists.tags} and {@link RegistryLists.catalog}. */
export interface ListOptions extends CallOptions {
  /** How many to ask for at a time; the registry decides. Default 1000. */
  pageSize?: number | undefined
  /** Begin after this one. */
  last?: string | undefined
}

const PAGE_SIZE = 1000
const MAX_LIST_BYTES = 32 * 1024 * 1024

/** `GET /v2/NAME/tags/list`, page by page, in the registry's order. */
export function listTags(
  exchange: Exchange,
  repository: Reference,
  options: ListOptions = {},
): AsyncIterable<string> {
  const { registry } = repository
  const what = `the tags of ${repositoryName(repository)}`
  return listPages(exchange, {
    ...paging(options),
    ...names('tags', what, (tag) => isReference(`${repositoryName(repository)}:${tag}`)),
    path: 'tags/list',
    request: {
      registry,
      repository: repository.repository,
      scopes: [repositoryScope(repository, 'pull')],
      action: `cannot list ${what}`,
      reference: repositoryName(repository),
      document: { limit: MAX_LIST_BYTES, what },
      ...callOf(options),
    },
  })
}

/** `GET /v2/_catalog`, page by page; most public registries have none. */
export function listCatalog(
  exchange: Exchange,
  registryName: string,
  options: ListOptions = {},
): AsyncIterable<string> {
  // Any name will do: it only carries the registry, spelled as in references.
  const { registry } = parseReference(`${registryName}/repository`)
  const what = `the repositories of ${registry}`
  return listPages(exchange, {
    ...paging(options),
    ...names('repositories', what, (name) => isRepository(`${registry}/${name}`)),
    path: '_catalog',
    request: {
      registry,
      scopes: [CATALOG_SCOPE],
      action: `cannot list ${what}`,
      document: { limit: MAX_LIST_BYTES, what },
      ...callOf(options),
    },
  })
}

/** Names go to terminals and into URLs: those that are none are left out. */
function names(
  member: string,
  what: string,
  isName: (text: string) => boolean,
): Pick<Listing<string>, 'read' | 'keyOf' | 'takesLast'> {
  return {
    takesLast: true,
    keyOf: (name) => name,
    read: async (response) => {
      const page = parseJson(await readBody(response, MAX_LIST_BYTES, what))
      if (!isObject(page)) throw badPage(response, what)
      const found = page[member]
      const all: unknown[] = Array.isArray(found) ? found : [] // docker-registry says null for none
      const items = all.filter((name) => typeof name === 'string').filter(isName)
      return { items, count: all.length }
    },
  }
}

/** Undefined if it is none. */
function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}

function isRepository(text: string): boolean {
  return isReference(text) && repositoryName(parseReference(text)) === text
}

function paging({ pageSize = PAGE_SIZE, last }: ListOptions) {
  return { pageSize, query: last === undefined ? {} : { last } }
}

function callOf({ signal, onRetry }: CallOptions): CallOptions {
  return { signal, onRetry }
}
