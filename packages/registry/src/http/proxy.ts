import { isLoopbackHost } from './host-rules.ts'

/** Proxies in the words of the usual environment variables, which the caller reads. */
export interface ProxySettings {
  /** `HTTP_PROXY`: the proxy for plain HTTP. */
  http?: string
  /** `HTTPS_PROXY`: the proxy for HTTPS. */
  https?: string
  /** `NO_PROXY`: hosts to reach directly, separated by commas: `*`, `example.com`, `.example.com`, `host:port`. */
  no?: string
}

/** The proxy to reach the URL through; undefined to go directly, as always on loopback. */
export function proxyFor(url: URL, settings: ProxySettings): string | undefined {
  const proxy = url.protocol === 'https:' ? settings.https : settings.http
  if (!proxy || isLoopbackHost(url.host) || isExcepted(url, settings.no ?? '')) return undefined
  return /^[a-z0-9]+:\/\//i.test(proxy) ? proxy : `http://${proxy}`
}

function isExcepted(url: URL, exceptions: string): boolean {
  const port = url.port || (url.protocol === 'https:' ? '443' : '80')
  return exceptions
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => matchesEntry(url.hostname.toLowerCase(), port, entry.toLowerCase()))
}

function matchesEntry(host: string, port: string, entry: string): boolean {
  if (entry === '*') return true
  const [, name = entry, entryPort] = /^(\[.+\]|[^:]+):(\d+)$/.exec(entry) ?? []
  if (entryPort !== undefined && entryPort !== port) return false
  const bare = name.replace(/^\*?\./, '')
  return host === bare || host === `[${bare}]` || host.endsWith(`.${bare}`)
}
