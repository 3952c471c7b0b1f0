import { isIP, isIPv6 } from 'node:net'
import { domainToASCII } from 'node:url'
import { isLoopback } from './address-set.ts'
import { canonicalHost, type HostAndPort } from './host-name.ts'

/** What a pattern without a port stands for. */
const WEB_PORTS: readonly number[] = [80, 443]

/**
 * Which hosts and ports are meant: `example.org`, `*.example.org` (every name below it, not itself),
 * `*`, an address; with `:8080` that port, with `:*` every port, without it 80 and 443.
 */
export class HostPattern {
  readonly #host: string
  readonly #below: boolean
  readonly #ports: readonly number[] | undefined

  /** Throws TypeError, whose message says what is wrong. */
  constructor(pattern: string) {
    const [, name = '', port] =
      /^(\[[^\]]*\]|[^:]*)(?::(\*|\d{1,5}))?$/.exec(bracketed(pattern)) ?? []
    this.#below = name.startsWith('*.')
    const host = name === '*' ? '*' : canonicalHost(toAscii(this.#below ? name.slice(2) : name))
    if (host === undefined || (this.#below && isIP(host) !== 0)) throw invalid(pattern)
    if (port !== undefined && port !== '*' && !isPort(Number(port))) throw invalid(pattern)
    this.#host = host
    this.#ports = port === '*' ? undefined : port === undefined ? WEB_PORTS : [Number(port)]
  }

  matches({ host, port }: HostAndPort): boolean {
    if (this.#ports !== undefined && !this.#ports.includes(port)) return false
    if (this.#host === '*') return true
    return this.#below ? host.endsWith(`.${this.#host}`) : host === this.#host
  }

  /** Whether it names this very address, so that nobody can have meant another: then it may be a private one. */
  means(address: string): boolean {
    return this.#host === 'localhost' && !this.#below ? isLoopback(address) : this.#host === address
  }
}

function bracketed(pattern: string): string {
  return isIPv6(pattern) ? `[${pattern}]` : pattern
}

// What is ASCII is checked as it is.
function toAscii(name: string): string {
  return /^[\x20-\x7e]*$/.test(name) ? name : domainToASCII(name)
}

function isPort(port: number): boolean {
  return port >= 1 && port <= 0xffff
}

function invalid(pattern: string): TypeError {
  const why = pattern.includes('://')
    ? 'leave out the scheme'
    : 'expected a name, *.name or address'
  return new TypeError(`${JSON.stringify(pattern)} is no pattern for hosts: ${why}`)
}
