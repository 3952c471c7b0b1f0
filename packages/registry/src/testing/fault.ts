/** What a request asks for, as far as faults tell requests apart. */
export type Endpoint =
  | 'ping'
  | 'token'
  | 'manifest'
  | 'blob'
  /** A request for a blob that the registry answers with a redirect; `blob` is then the storage's answer. */
  | 'redirect'
  | 'upload'
  | 'tags'
  | 'catalog'
  | 'referrers'

/** Something that goes wrong on purpose. */
export type Fault = FaultTarget & FaultEffect

/** Which requests a fault happens to. */
export interface FaultTarget {
  /** The endpoint that it happens at. */
  on: Endpoint
  /** Only where the path with its query contains this: a digest, a tag, a repository. */
  path?: string
  /** Only for this method. */
  method?: string
  /** Only for this repository. */
  repository?: string
  /** Only from the so-and-so-manieth matching request on; the first is 1, the default. */
  nth?: number
  /** How often it happens. Default 1. */
  times?: number
}

/** What happens. */
export type FaultEffect =
  /** An error instead of what was asked for; nothing is done. `code` is the error's, default `FAULT`. */
  | { type: 'status'; status: number; retryAfter?: string; message?: string; code?: string }
  /** The connection is reset (by RST, unless it is TLS) without an answer, and nothing is done. */
  | { type: 'reset' }
  /** What was asked for is done, and then the connection is cut without an answer. */
  | { type: 'lost-answer' }
  /** The connection is cut after so many bytes of the body. */
  | { type: 'cut'; afterBytes: number }
  /** Nothing more comes after so many bytes of the body. */
  | { type: 'stall'; afterBytes: number }
  /** The body comes so many bytes at a time. */
  | { type: 'drip'; bytes: number; everyMs: number }
  /** One bit of the body is wrong: of the byte at `position`, or of the last. */
  | { type: 'corrupt'; position?: number }
  /** The body has so many bytes more, or less if negative, and says so. */
  | { type: 'resize'; bytes: number }
  /** The second half of the body is missing, and Content-Length fits what is left. */
  | { type: 'truncate' }
  /** So many bytes of white space follow the body, and no Content-Length warns of them. */
  | { type: 'huge'; bytes: number }
  /** Content-Length promises so many bytes more, or less if negative, than come. */
  | { type: 'wrong-content-length'; bytes: number }
  /** Content-Type is another: `text/html`, unless said. */
  | { type: 'wrong-content-type'; contentType?: string }
  /** Docker-Content-Digest is that of something else. */
  | { type: 'wrong-digest-header' }
  /** There is no Docker-Content-Digest. */
  | { type: 'no-digest-header' }
  /** One header is another, or is missing. */
  | { type: 'header'; name: string; value?: string }
  /** A Range is ignored. */
  | { type: 'no-range' }
  /** A Range is answered with one that begins a byte earlier. */
  | { type: 'wrong-range' }
  /** The answer is this document instead. */
  | { type: 'body'; body: string; contentType?: string }
  /**
   * A redirect: to the storage on another port, under another name of this host, to the same URL
   * again, or to any URL. The storage's URLs end after so many uses or milliseconds, with 403.
   */
  | {
      type: 'redirect'
      to: 'storage' | 'storage-by-name' | 'itself' | URL
      status?: number
      uses?: number
      lifeMs?: number
    }
  /** The connection is cut after so many bytes of an upload have come; they are kept. */
  | { type: 'cut-upload'; afterBytes: number }
  /** Nothing more of an upload is read after so many bytes, and no answer comes. */
  | { type: 'stall-upload'; afterBytes: number }
  /** Of a chunk only so many bytes are kept, which the answer's Range says. */
  | { type: 'short-chunk'; bytes: number }
  /** The upload's session is forgotten. */
  | { type: 'upload-lost' }
  /** The upload's Location is on another origin, which takes it. */
  | { type: 'upload-elsewhere'; host?: string }
  /** Blobs are taken in one piece only: no PATCH. */
  | { type: 'monolithic-only' }
  /** Blobs are taken in chunks only: no PUT with a body, no POST with a digest. */
  | { type: 'chunked-only' }
  /** A blob is not mounted but has to be uploaded. */
  | { type: 'mount-refused' }
  /** A list that goes on does not say where. */
  | { type: 'no-link' }

/** The faults that are still to happen. */
export class FaultPlan {
  readonly #left: Array<{ fault: Fault; skip: number; times: number }> = []

  add(fault: Fault): void {
    this.#left.push({ fault, skip: (fault.nth ?? 1) - 1, times: fault.times ?? 1 })
  }

  clear(): void {
    this.#left.length = 0
  }

  /** The fault for this request, if there is one, which is then used up by one. */
  take(request: FaultCandidate): Fault | undefined {
    for (const planned of this.#left) {
      if (planned.times <= 0 || !concerns(planned.fault, request)) continue
      if (planned.skip > 0) {
        planned.skip -= 1
        continue
      }
      planned.times -= 1
      return planned.fault
    }
    return undefined
  }
}

/** What a {@link FaultPlan} knows of a request. */
export interface FaultCandidate {
  endpoint: Endpoint
  method: string
  /** With the query, without percent-encoding. */
  path: string
  repository: string | undefined
}

function concerns(fault: Fault, { endpoint, method, path, repository }: FaultCandidate): boolean {
  return (
    fault.on === endpoint &&
    (fault.path === undefined || path.includes(fault.path)) &&
    (fault.method === undefined || fault.method === method) &&
    (fault.repository === undefined || fault.repository === repository)
  )
}
