import { BlockList, isIP } from 'node:net'
import { domainToASCII } from 'node:url'
import { RegistryError } from '../errors.ts'
import { isLoopbackHost } from './host-rules.ts'

/** Proxies in the words of the usual environment variables, which the caller reads. */
export interface ProxySettings {
  /** `HTTP_PROXY`: the proxy for plain HTTP. */
  http?: string
  /** `HTTPS_PROXY`: the proxy for HTTPS. */
  https?: string
  /** `ALL_PROXY`: the proxy where the one for the scheme is not set. */
  all?: string
  /**
   * `NO_PROXY`: hosts to reach directly, separated by commas. `example.com` is the host and all below it,
   * `.example.com` only those below; `host:port`; addresses and networks (`10.0.0.0/8`, `fd00::/8`), which
   * are compared with addresses in URLs and never with what a name resolves to; `*` is everything.
   */
  no?: string
}

/** How a URL is reached. */
export interface ProxyChoice {
  /** The proxy's URL, which may hold a password; undefined to go directly. */
  proxy?: string
  /** What decided: `HTTPS_PROXY`, `NO_PROXY has ".example.com"`. */
  because: string
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The settings that an environment holds; lower-case names win, and empty values are none.
 *
 * Where there is a `REQUEST_METHOD`, this is a CGI program and `HTTP_PROXY` comes from the client's request
 * (CVE-2016-5385): it is not used.
 */
export function proxyFromEnvironment(env: Environment): ProxySettings {
  const either = (name: string) => env[name] || env[name.toUpperCase()] || undefined
  const http = env['REQUEST_METHOD'] === undefined ? either('http_proxy') : env['http_proxy']
  const found = {
    http,
    https: either('https_proxy'),
    all: either('all_proxy'),
    no: either('no_proxy'),
  }
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value))
}

/** The proxy to reach the URL through; undefined to go directly, as always on loopback. */
export function proxyFor(url: URL, settings: ProxySettings): string | undefined {
  return chooseProxy(url, settings).proxy
}

/** Which proxy, and why. Throws `ERR_REGISTRY_PROXY` if the proxy's address is none. */
export function chooseProxy(url: URL, settings: ProxySettings): ProxyChoice {
  const secure = url.protocol === 'https:'
  const own = secure ? settings.https : settings.http
  const proxy = own || settings.all
  const variable = own ? `${secure ? 'HTTPS' : 'HTTP'}_PROXY` : 'ALL_PROXY'
  if (!proxy) return { because: 'no proxy is set' }
  if (isLoopbackHost(url.host)) return { because: 'it is this machine' }
  const exception = findException(url, settings.no ?? '')
  if (exception !== undefined) return { because: `NO_PROXY has ${JSON.stringify(exception)}` }
  return { proxy: completeProxy(proxy, variable), because: variable }
}

function completeProxy(proxy: string, variable: string): string {
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(proxy) ? proxy : `http://${proxy}`
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url !== undefined && PROXY_SCHEMES.has(url.protocol) && url.hostname !== '') return text
  // The text is not quoted: it may hold a password.
  throw new RegistryError(
    'ERR_REGISTRY_PROXY',
    `the proxy in ${variable} cannot be used: ${url === undefined ? 'it is not a URL' : `${url.protocol} is no proxy's scheme here`}`,
    { hint: 'give it as http://HOST:PORT or https://HOST:PORT' },
  )
}

const PROXY_SCHEMES = new Set(['http:', 'https:'])

function findException(url: URL, exceptions: string): string | undefined {
  const host = url.hostname
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
  const port = url.port || (url.protocol === 'https:' ? '443' : '80')
  const entries = exceptions.split(/[\s,]+/).filter((entry) => entry !== '')
  return entries.find((entry) => matchesEntry(host, port, entry.toLowerCase()))
}

function matchesEntry(host: string, port: string, entry: string): boolean {
  if (entry === '*') return true
  if (entry.includes('/')) return isWithin(host, entry)
  const [, withPort, itsPort] = /^(\[.+\]|[^:]+):(\d+)$/.exec(entry) ?? []
  if (itsPort !== undefined && itsPort !== port) return false
  const name = (withPort ?? entry).replace(/^\[|\]$/g, '')
  if (isIP(name) !== 0 || isIP(host) !== 0) return isSameAddress(host, name)
  const domain = name.replace(/^\*/, '')
  const below = domainToASCII(domain.replace(/^\./, '')) || domain.replace(/^\./, '')
  return host.endsWith(`.${below}`) || (!domain.startsWith('.') && host === below)
}

/** Whether an address lies in a network; nothing does in what is none. */
function isWithin(host: string, network: string): boolean {
  const [, address = '', bits = ''] = /^\[?([^\]/]+)\]?\/(\d{1,3})$/.exec(network) ?? []
  const family = isIP(address)
  if (family === 0 || isIP(host) !== family || Number(bits) > (family === 4 ? 32 : 128))
    return false
  const list = new BlockList()
  const type = family === 4 ? 'ipv4' : 'ipv6'
  list.addSubnet(address, Number(bits), type)
  return list.check(host, type)
}

/** IPv6 addresses have several spellings. */
function isSameAddress(host: string, name: string): boolean {
  return (
    host === name || (isIP(name) !== 0 && isWithin(host, `${name}/${isIP(name) === 4 ? 32 : 128}`))
  )
}
