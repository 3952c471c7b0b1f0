import { redactText, redactUrl } from './redact.ts'

/** Every code a {@link RegistryError} can carry; a code is never renamed or reused. */
export const REGISTRY_ERROR_CODES = [
  /** The text is not an image reference. */
  'ERR_REGISTRY_BAD_REFERENCE',
  /** The text is not a digest this package can verify (sha256 or sha512). */
  'ERR_REGISTRY_BAD_DIGEST',
  /** The text is not a platform such as `linux/arm64`. */
  'ERR_REGISTRY_BAD_PLATFORM',
  /** A manifest, index or image configuration breaks its specification. */
  'ERR_REGISTRY_BAD_MANIFEST',
  /** The manifest has the long-retired Docker schema 1. */
  'ERR_REGISTRY_SCHEMA1',
  /** The name leads to something that is not a container image (a chart, a signature, …). */
  'ERR_REGISTRY_NOT_AN_IMAGE',
  /** The image has no manifest for the wanted platform; `available` lists those it has. */
  'ERR_REGISTRY_NO_PLATFORM',
  /** A document, a layer or a whole image is larger than the limit in force. */
  'ERR_REGISTRY_TOO_LARGE',
  /** Bytes do not hash to the digest that named them. */
  'ERR_REGISTRY_DIGEST_MISMATCH',
  /** More or fewer bytes than the descriptor said. */
  'ERR_REGISTRY_SIZE_MISMATCH',
  /** The registry wants credentials, or refuses those it got (status 401). */
  'ERR_REGISTRY_UNAUTHORIZED',
  /** The registry knows who asks and says no (status 403). */
  'ERR_REGISTRY_DENIED',
  /** No such repository, tag, manifest or blob (status 404). */
  'ERR_REGISTRY_NOT_FOUND',
  /** The registry knows no such operation, or does not allow it to anybody (status 405, or `UNSUPPORTED`). */
  'ERR_REGISTRY_UNSUPPORTED',
  /** Something else is there already, or was put there meanwhile (status 409 or 412). */
  'ERR_REGISTRY_CONFLICT',
  /** The registry no longer knows the upload that was going on. */
  'ERR_REGISTRY_UPLOAD_LOST',
  /** What is to be pushed cannot be read. */
  'ERR_REGISTRY_SOURCE_UNREADABLE',
  /** What is being pushed changed while it was read, or is not what its descriptor says. */
  'ERR_REGISTRY_SOURCE_CHANGED',
  /** Too many requests (status 429); `retryAfterMs` says when to come back, if the registry does. */
  'ERR_REGISTRY_RATE_LIMITED',
  /** The registry failed (status 5xx). */
  'ERR_REGISTRY_SERVER',
  /** The registry answered something that the distribution specification does not allow. */
  'ERR_REGISTRY_PROTOCOL',
  /** The registry's name cannot be resolved. */
  'ERR_REGISTRY_NAME_RESOLUTION',
  /** No connection to the registry, or it was cut. */
  'ERR_REGISTRY_UNREACHABLE',
  /** The registry did not answer in time. */
  'ERR_REGISTRY_TIMEOUT',
  /** The registry's certificate or its TLS is not acceptable. */
  'ERR_REGISTRY_TLS',
  /** The registry names a token service that must not be asked. */
  'ERR_REGISTRY_UNSAFE_REALM',
  /** The registry redirects to a place that must not be asked. */
  'ERR_REGISTRY_UNSAFE_REDIRECT',
  /** What says where a registry is, a registries.conf, a hosts.toml or a certificate beside it, is broken; `path` names it. */
  'ERR_REGISTRY_HOSTS',
  /** A rule on this machine forbids the registry or repository (`blocked` in registries.conf). */
  'ERR_REGISTRY_BLOCKED',
  /** The address of the proxy is none, or the proxy refuses. */
  'ERR_REGISTRY_PROXY',
  /** A credentials file or a credential helper is broken. */
  'ERR_REGISTRY_CREDENTIALS',
  /** The image layout on disk is damaged or cannot be read or written. */
  'ERR_REGISTRY_LAYOUT',
  /** The image archive is damaged, says two things at once, is of an unknown kind, or cannot be read or written. */
  'ERR_REGISTRY_ARCHIVE',
  /** Another process holds the lock for too long. */
  'ERR_REGISTRY_LOCKED',
  /** A blob is read a second time, which only another call can do. */
  'ERR_REGISTRY_CONSUMED',
  /** The caller's signal was aborted. */
  'ERR_REGISTRY_ABORTED',
  /** The client was closed. */
  'ERR_REGISTRY_CLOSED',
] as const

/** One of {@link REGISTRY_ERROR_CODES}. */
export type RegistryErrorCode = (typeof REGISTRY_ERROR_CODES)[number]

/** One entry of the error list in a registry's answer (distribution-spec, "Error Codes"). */
export interface RegistryErrorDetail {
  code: string
  message: string
}

/** What one endpoint of a registry said before another one was asked. */
export interface EndpointFailure {
  /** Where its API begins. */
  url: string
  code: RegistryErrorCode
  message: string
}

/** What a {@link RegistryError} knows besides its message; every field is safe to print, and undefined ones are absent. */
export interface RegistryErrorFields {
  /** What to do next, as one sentence. */
  hint?: string | undefined
  /** The registry or token host that was spoken to. */
  host?: string | undefined
  /** The HTTP method of the failed request. */
  method?: string | undefined
  /** The URL of the failed request, without credentials and signatures. */
  url?: string | undefined
  /** The HTTP status of the answer. */
  status?: number | undefined
  /** The registry's own error list. */
  errors?: RegistryErrorDetail[] | undefined
  /** How long the registry asked to wait. */
  retryAfterMs?: number | undefined
  /** The mirrors that were asked before, and why each of them failed. */
  endpoints?: EndpointFailure[] | undefined
  /** The image the call was about, in familiar form. */
  reference?: string | undefined
  /** The digest, size or type that was wanted. */
  expected?: string | undefined
  /** The digest, size or type that was found. */
  actual?: string | undefined
  /** The platforms an image has, such as `linux/arm64/v8`. */
  available?: string[] | undefined
  /** The file on this machine that the error is about. */
  path?: string | undefined
  /** Whether the same call may succeed when it is simply tried again. */
  temporary?: boolean | undefined
}

/**
 * The one error class of this package.
 *
 * Match on `code`, never on the message. Nothing in it (message, fields, JSON form) holds a
 * password, token or signed URL: all text passes through redaction here, in one place.
 */
export class RegistryError extends Error {
  override readonly name = 'RegistryError'
  readonly code: RegistryErrorCode
  declare readonly hint?: string
  declare readonly host?: string
  declare readonly method?: string
  declare readonly url?: string
  declare readonly status?: number
  declare readonly errors?: RegistryErrorDetail[]
  declare readonly retryAfterMs?: number
  declare readonly endpoints?: EndpointFailure[]
  declare readonly reference?: string
  declare readonly expected?: string
  declare readonly actual?: string
  declare readonly available?: string[]
  declare readonly path?: string
  declare readonly temporary?: boolean

  constructor(
    code: RegistryErrorCode,
    message: string,
    fields: RegistryErrorFields & { cause?: unknown } = {},
  ) {
    const { cause, ...details } = fields
    super(redactText(message), cause === undefined ? undefined : { cause })
    this.code = code
    for (const [key, value] of Object.entries(details)) {
      if (value !== undefined) Object.defineProperty(this, key, visible(redactField(key, value)))
    }
  }

  /** The fields as plain data, for logs; the cause is reduced to its message. */
  toJSON(): Record<string, unknown> {
    const cause = this.cause instanceof Error ? { cause: redactText(this.cause.message) } : {}
    return { message: this.message, ...Object.fromEntries(Object.entries(this)), ...cause }
  }
}

/** Whether `error` is a {@link RegistryError}, and of this code if one is given. Never throws. */
export function isRegistryError(error: unknown, code?: RegistryErrorCode): error is RegistryError {
  return error instanceof RegistryError && (code === undefined || error.code === code)
}

function visible(value: unknown): PropertyDescriptor {
  return { value, enumerable: true, configurable: true, writable: false }
}

function redactField(key: string, value: unknown): unknown {
  if (key === 'url') return redactUrl(String(value))
  if (typeof value === 'string') return redactText(value)
  if (Array.isArray(value)) return value.map((item) => redactField('', item))
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, redactField('', v)]))
  }
  return value
}
