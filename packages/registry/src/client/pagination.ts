import { RegistryError } from '../errors.ts'
import type { HttpResponse } from '../http/transport.ts'
import type { ApiRequest, Exchange } from './exchange.ts'

/** A list that a registry gives in pages. */
export interface Listing<Item> {
  /** Without path and query. */
  request: Omit<ApiRequest, 'path' | 'method' | 'accept'> & Required<Pick<ApiRequest, 'document'>>
  path: string
  query: Record<string, string>
  /** Asked for as `n`, which registries are free to heed, lower or refuse. */
  pageSize?: number | undefined
  /** Statuses of the first page that mean that the registry has no such list. */
  absent?: number[]
  /** The items of a page, or `ERR_REGISTRY_PROTOCOL`, and how many it had before those that cannot be were left out. */
  read(response: HttpResponse): Promise<{ items: Item[]; count: number }>
  /** What tells items apart; also what `last` takes, if the list does. */
  keyOf(item: Item): string
  /** Whether the list takes `last`. */
  takesLast: boolean
}

/** Pages without anything new that may follow one another. */
const MAX_BARREN_PAGES = 16
const MAX_LINK_LENGTH = 16 * 1024
const LINK = /<([^<>]*)>([^<]*)/g
const NEXT = /(?:^|[;\s])rel\s*=\s*(?:"(?:[^"]*\s)?next(?:\s[^"]*)?"|next(?=[\s;,]|$))/i

/**
 * The items of all pages, each once, as they are read.
 *
 * Pages are followed by `Link`, on the registry's own origin only, and where there is none by `last`.
 * Throws `ERR_REGISTRY_PROTOCOL` if the pages go round in circles. Yields undefined, once, for a list
 * that the registry does not have. Source: distribution-spec, "Listing Tags".
 */
export async function* listPages<Item>(
  exchange: Exchange,
  listing: Listing<Item>,
): AsyncGenerator<Item, 'absent' | undefined, undefined> {
  const { keyOf, takesLast, absent = [] } = listing
  const seen = new Set<string>()
  let { pageSize } = listing
  let next: Pick<ApiRequest, 'path' | 'url'> = firstPage(listing, pageSize)
  for (let barren = 0; ; ) {
    const isFirst = seen.size === 0 && next.url === undefined
    const refusable = isFirst && pageSize !== undefined
    const accept = isFirst ? [...absent, ...(refusable ? [400, 405] : [])] : []
    const response = await exchange({ ...listing.request, ...next, method: 'GET', accept })
    if (response.status >= 400) {
      response.cancel()
      if (absent.includes(response.status)) return 'absent'
      pageSize = undefined // Amazon's registry refuses sizes beyond what it likes
      next = firstPage(listing, pageSize)
      continue
    }
    const { items, count } = await listing.read(response)
    const fresh = new Map(items.map((item) => [keyOf(item), item]))
    for (const key of fresh.keys()) if (seen.has(key)) fresh.delete(key)
    for (const key of fresh.keys()) seen.add(key)
    yield* fresh.values()
    barren = fresh.size > 0 ? 0 : barren + 1
    const last = items.at(-1)
    const link = nextLink(response)
    const onward = takesLast && last !== undefined && fresh.size > 0
    if (link?.origin === response.url.origin) {
      if (barren > MAX_BARREN_PAGES) throw endless(response)
      next = { path: '', url: link }
    } else if (onward && (link !== undefined || count >= (pageSize ?? Infinity))) {
      next = pageAfter(listing, keyOf(last), pageSize)
    } else if (link === undefined || takesLast) return undefined
    else throw foreignLink(response, link)
  }
}

/** The error for a page that is not what the specification says. */
export function badPage({ url }: HttpResponse, what: string, cause?: unknown): RegistryError {
  const { host, href } = url
  const message = `${what} cannot be read: ${host} answered something that is no such list`
  return new RegistryError('ERR_REGISTRY_PROTOCOL', message, { host, url: href, cause })
}

/** The target of `Link: <…>; rel="next"`. Source: RFC 8288, section 3. */
export function nextLink({ headers, url }: HttpResponse): URL | undefined {
  const text = [headers['link'] ?? []].flat().join(', ')
  if (text.length > MAX_LINK_LENGTH) return undefined
  for (const [, target = '', parameters = ''] of text.matchAll(LINK)) {
    if (NEXT.test(parameters) && URL.canParse(target, url.href)) return new URL(target, url)
  }
  return undefined
}

function firstPage(
  { path, query }: Pick<Listing<never>, 'path' | 'query'>,
  pageSize: number | undefined,
): { path: string } {
  const size = pageSize === undefined ? {} : { n: String(pageSize) }
  const text = new URLSearchParams({ ...size, ...query }).toString()
  return { path: text === '' ? path : `${path}?${text}` }
}

function pageAfter(
  { path, query }: Pick<Listing<never>, 'path' | 'query'>,
  last: string,
  pageSize: number | undefined,
): { path: string } {
  return firstPage({ path, query: { ...query, last } }, pageSize)
}

function endless({ url }: HttpResponse): RegistryError {
  const message = `${url.host} gives a list whose pages go round in circles`
  return new RegistryError('ERR_REGISTRY_PROTOCOL', message, { host: url.host, url: url.href })
}

function foreignLink({ url }: HttpResponse, link: URL): RegistryError {
  return new RegistryError(
    'ERR_REGISTRY_UNSAFE_REDIRECT',
    `${url.host} wants the rest of a list read from ${link.origin}, which is refused`,
    { host: link.host, url: link.href },
  )
}
