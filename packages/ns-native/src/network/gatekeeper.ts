import type { Socket } from 'node:net'
import { connectChecked } from './checked-connection.ts'
import { formatAuthority, type HostAndPort } from './host-name.ts'
import {
  ProxyPolicy,
  type ProxyPolicyOptions,
  type ProxyRequest,
  REFUSALS,
  type Refusal,
} from './proxy-policy.ts'
import { type HostTraffic, Traffic } from './traffic.ts'

/** A request that the policy refused. */
export interface NetworkViolation {
  kind: 'net'
  protocol: ProxyRequest['protocol']
  method: string
  host: string
  port: number
  url: string | undefined
  refusal: Refusal
  /** In words. */
  reason: string
  time: Date
}

/** A proxy's options. */
export interface ProxyOptions extends ProxyPolicyOptions {
  /** Called for each refused request. */
  onViolation?: (violation: NetworkViolation) => void
  /** From inside, at once; more are closed as they come. Default 256. */
  maxConnections?: number
  /** How long a connection to a host may take to come about. Default 30,000. */
  connectTimeoutMs?: number
}

/** What became of a request. */
export type Passage =
  | { outcome: 'connected'; socket: Socket }
  | { outcome: 'refused'; words: string }
  /** It was allowed, but there is no such host, or it does not answer. */
  | { outcome: 'failed'; words: string; late: boolean }

/** The last so many are kept. */
const VIOLATIONS_MAX = 1000
const CONNECT_TIMEOUT_MS = 30_000

/** Asks the policy, connects where it allows to, and keeps the books; whatever the protocol. */
export class Gatekeeper {
  readonly violations: NetworkViolation[] = []
  violationCount = 0
  readonly #traffic = new Traffic()
  readonly #policy: ProxyPolicy
  readonly #options: ProxyOptions

  /** Throws ERR_NS_POLICY. */
  constructor(options: ProxyOptions) {
    this.#options = options
    this.#policy = new ProxyPolicy(options)
  }

  traffic(): Record<string, HostTraffic> {
    return this.#traffic.byHost()
  }

  /** Never rejects. */
  async pass(request: ProxyRequest): Promise<Passage> {
    try {
      const verdict = await this.#policy.decide(request)
      if (!verdict.allowed) {
        this.#record(request, verdict)
        const told = verdict.refusal === 'denied' ? verdict.reason : REFUSALS[verdict.refusal]
        return { outcome: 'refused', words: `${formatAuthority(request)}: ${told}` }
      }
      const timeout = AbortSignal.timeout(this.#options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS)
      const socket = await connectChecked(verdict, AbortSignal.any([request.signal, timeout]))
      this.#traffic.count(request.host, socket)
      return { outcome: 'connected', socket }
    } catch (error) {
      return failure(request, error)
    }
  }

  #record(request: ProxyRequest, { refusal, reason }: { refusal: Refusal; reason: string }): void {
    const { protocol, method, host, port, url } = request
    const time = new Date()
    const violation = {
      kind: 'net',
      protocol,
      method,
      host,
      port,
      url,
      refusal,
      reason,
      time,
    } as const
    this.violationCount++
    this.violations.push(violation)
    if (this.violations.length > VIOLATIONS_MAX) this.violations.shift()
    this.#options.onViolation?.(violation)
  }
}

function failure(request: HostAndPort, error: unknown): Passage {
  const late = error instanceof Error && error.name === 'TimeoutError'
  const why = error instanceof Error && 'code' in error ? String(error.code) : String(error)
  const words = `${formatAuthority(request)}: cannot connect: ${late ? 'it does not answer' : why}`
  return { outcome: 'failed', words, late }
}
