import { lookup as systemLookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { PolicyError } from '../errors.ts'
import { AddressSet, isPublicAddress, unmapped } from './address-set.ts'
import { isAddress } from './endpoint.ts'
import { canonicalHost, type HostAndPort } from './host-name.ts'
import { HostPattern } from './host-pattern.ts'

/** What the program inside asks for. */
export interface ProxyRequest {
  /** `http` is asked for each request; a tunnel (`connect`, `socks`) once, and what is in it is not seen. */
  protocol: 'http' | 'connect' | 'socks'
  /** Of an http request; `CONNECT` for tunnels. */
  method: string
  /** As one says it: lower case, no trailing dot, addresses in their canonical form. */
  host: string
  port: number
  /** Of an http request. */
  url: string | undefined
  /** Aborts when the program asks no longer: who asks a human can take the question back. */
  signal: AbortSignal
}

/** What is to be done with it. */
export type ProxyDecision =
  | 'allow'
  | 'deny'
  | {
      action: 'allow'
      /** Connect there instead: to a test's server, say. No check of its address. */
      connectTo?: HostAndPort
      /** The name may lead to an address that is private, or this machine's. */
      privateAddresses?: boolean
    }
  | { action: 'deny'; reason?: string }

/** Who may be reached. What nothing allows is denied. */
export interface ProxyPolicyOptions {
  /** Patterns: `example.org`, `*.example.org`, `example.org:8080`, `example.org:*`, `[2001:db8::1]`, `*`. */
  allow?: readonly string[]
  /** Patterns that come before those of `allow`, and before `onRequest`. */
  deny?: readonly string[]
  /** Asked for what neither list decides. When it throws, the answer is no. */
  onRequest?: (request: ProxyRequest) => ProxyDecision | Promise<ProxyDecision>
  /** Private addresses and networks that names may lead to, such as `10.1.0.0/16`. */
  privateAddresses?: readonly string[]
  /** Gives the addresses of a name; the default asks the system, out here. */
  lookup?: (host: string) => Promise<readonly string[]>
}

/** Why a request was refused. */
export type Refusal =
  /** Nothing allows it. */
  | 'not-allowed'
  /** The deny list or `onRequest` says so. */
  | 'denied'
  /** The name leads to an address that is not of the Internet: DNS rebinding, or a mistake. */
  | 'private-address'
  /** `onRequest` threw. */
  | 'policy-failed'

/** Where to connect to, or why not. */
export type Verdict =
  | { allowed: true; addresses: readonly string[]; port: number }
  | { allowed: false; refusal: Refusal; reason: string }

/** The policy of a proxy: a list, and a function for what the list does not decide. */
export class ProxyPolicy {
  readonly #allow: readonly HostPattern[]
  readonly #deny: readonly HostPattern[]
  readonly #private: AddressSet
  readonly #options: ProxyPolicyOptions

  /** Throws ERR_NS_POLICY. */
  constructor(options: ProxyPolicyOptions) {
    const { allow = [], deny = [], privateAddresses = [] } = options
    const pattern = (text: string) => new HostPattern(text)
    this.#allow = allow.map((text, i) => checked(`/allow/${i}`, () => pattern(text)))
    this.#deny = deny.map((text, i) => checked(`/deny/${i}`, () => pattern(text)))
    this.#private = checked('/privateAddresses', () => new AddressSet(privateAddresses))
    this.#options = options
  }

  /** Rejects when a name that is allowed cannot be resolved. */
  async decide(request: ProxyRequest): Promise<Verdict> {
    if (this.#deny.some((pattern) => pattern.matches(request))) return refused('denied')
    const patterns = this.#allow.filter((pattern) => pattern.matches(request))
    if (patterns.length > 0) {
      return this.#locate(request, (address) => patterns.some((one) => one.means(address)))
    }
    const decision = await this.#ask(request)
    if ('refusal' in decision) return decision
    const { connectTo, privateAddresses } = decision
    return this.#locate(
      connectTo === undefined ? request : elsewhere(connectTo),
      () => connectTo !== undefined || privateAddresses === true,
    )
  }

  async #ask(request: ProxyRequest): Promise<Extract<Verdict, { allowed: false }> | Permission> {
    const { onRequest } = this.#options
    if (onRequest === undefined) return refused('not-allowed')
    let decision: ProxyDecision
    try {
      decision = await onRequest(request)
    } catch (error) {
      return refused('policy-failed', String(error))
    }
    if (decision === 'allow') return {}
    if (typeof decision === 'object' && decision?.action === 'allow') return decision
    const reason = typeof decision === 'object' ? decision?.reason : undefined
    return refused('denied', reason)
  }

  // Decided by address, not by name: a name is its owner's to point where he likes, at any time.
  async #locate(
    { host, port }: HostAndPort,
    means: (address: string) => boolean,
  ): Promise<Verdict> {
    const found = isIP(host) === 0 ? await this.#lookup(host) : [host]
    const addresses = found.filter(
      (address) => means(address) || isPublicAddress(address) || this.#private.has(address),
    )
    if (addresses.length > 0) return { allowed: true, addresses, port }
    return refused('private-address', `it is ${found.join(', ')}, which is not on the Internet`)
  }

  async #lookup(host: string): Promise<string[]> {
    const lookup = this.#options.lookup ?? systemAddresses
    // A zone names an interface of this machine: nothing that a name could mean.
    const addresses = (await lookup(host)).filter(isAddress)
    if (addresses.length === 0) throw new Error(`${host} has no address`)
    return addresses.map(unmapped)
  }
}

type Permission = Omit<Extract<ProxyDecision, { action: 'allow' }>, 'action'>

async function systemAddresses(host: string): Promise<string[]> {
  const found = await systemLookup(host, { all: true })
  return found.map(({ address }) => address)
}

function elsewhere({ host, port }: HostAndPort): HostAndPort {
  const name = isIP(host) === 6 ? `[${host}]` : host
  return { host: canonicalHost(name) ?? host, port }
}

/** What the program inside is told; more than that is for the one who wrote the policy. */
export const REFUSALS: Record<Refusal, string> = {
  'not-allowed': 'nothing in the policy allows it',
  denied: 'the policy denies it',
  'private-address': 'its address is private',
  'policy-failed': 'the policy could not decide',
}

function refused(refusal: Refusal, reason?: string): Extract<Verdict, { allowed: false }> {
  return { allowed: false, refusal, reason: reason ?? REFUSALS[refusal] }
}

function checked<T>(pointer: string, make: () => T): T {
  try {
    return make()
  } catch (cause) {
    const why = cause instanceof TypeError ? cause.message : String(cause)
    throw new PolicyError(`invalid network policy: ${pointer}: ${why}`, { pointer, cause })
  }
}
