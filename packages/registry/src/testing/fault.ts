/** What a request asks for, as far as faults tell requests apart. */
export type Endpoint = 'ping' | 'token' | 'manifest' | 'blob'

/** Something that goes wrong on purpose. */
export type Fault = {
  /** The endpoint that it happens at. */
  on: Endpoint
  /** Only where the path contains this: a digest, a tag, a repository. */
  path?: string
  /** How often it happens. Default 1. */
  times?: number
} & (
  | { type: 'status'; status: number; retryAfter?: string; message?: string }
  /** The connection is cut without an answer. */
  | { type: 'reset' }
  /** The connection is cut after so many bytes of the body. */
  | { type: 'cut'; afterBytes: number }
  /** Nothing more comes after so many bytes of the body. */
  | { type: 'stall'; afterBytes: number }
  /** The body comes so many bytes at a time. */
  | { type: 'drip'; bytes: number; everyMs: number }
  /** One bit of the body is wrong. */
  | { type: 'corrupt' }
  /** The body has so many bytes more, or less if negative. */
  | { type: 'resize'; bytes: number }
  /** A Range is ignored. */
  | { type: 'no-range' }
  /** A Range is answered with one that begins a byte earlier. */
  | { type: 'wrong-range' }
  /** The answer is this document instead. */
  | { type: 'body'; body: string; contentType?: string }
)

/** The faults that are still to happen. */
export class FaultPlan {
  readonly #left: Array<{ fault: Fault; times: number }> = []

  add(fault: Fault): void {
    this.#left.push({ fault, times: fault.times ?? 1 })
  }

  clear(): void {
    this.#left.length = 0
  }

  /** The fault for this request, if there is one, which is then used up by one. */
  take(endpoint: Endpoint, path: string): Fault | undefined {
    const found = this.#left.find(
      ({ fault, times }) =>
        times > 0 &&
        fault.on === endpoint &&
        (fault.path === undefined || path.includes(fault.path)),
    )
    if (found !== undefined) found.times -= 1
    return found?.fault
  }
}
