import { RegistryError, type RegistryErrorCode, type RegistryErrorDetail } from '../errors.ts'
import { isObject } from '../image/json-document.ts'
import { maskSecrets, redactText } from '../redact.ts'
import { apiHost } from './host-rules.ts'
import { parseRetryAfter } from './retry.ts'
import type { HttpResponse } from './transport.ts'

const MAX_ERROR_BODY = 64 * 1024
const MAX_DETAILS = 10
const MAX_DETAIL_LENGTH = 500

/** What an unwanted answer answered. */
export interface FailedExchange {
  /** What could not be done, to what: `cannot read the tag alpine:3.20`. */
  action: string
  method: string
  /** The secrets that were sent, which the answer might repeat. */
  secrets: string[]
  reference?: string | undefined
  /** Set if a fresh request may fare better whatever the status: a signed URL ran out. */
  repeatable?: boolean
  /** Set if name and password were sent. */
  refused?: boolean
}

/** The body, up to a limit. Throws `ERR_REGISTRY_TOO_LARGE` beyond it. */
export async function readBody(
  response: HttpResponse,
  limit: number,
  what: string,
): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let size = 0
  if (Number(header(response, 'content-length') ?? 0) > limit) throw tooLarge(response, limit, what)
  for await (const chunk of response.body) {
    size += chunk.byteLength
    if (size > limit) throw tooLarge(response, limit, what)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, size)
}

/** The same answer once all of its body has come. Throws like {@link readBody}. */
export async function inMemory(
  response: HttpResponse,
  { limit, what }: { limit: number; what: string },
): Promise<HttpResponse> {
  const bytes = await readBody(response, limit, what)
  async function* body() {
    yield bytes
  }
  return { ...response, body: body() }
}

/** What the registry warns of. Source: distribution-spec, "Warnings"; RFC 7234, section 5.5. */
export function warningsOf({ headers }: HttpResponse): string[] {
  const texts = [headers['warning'] ?? []].flat()
  return texts.flatMap((text) => {
    const quoted = /^299 - "((?:[^"\\]|\\.)*)"/.exec(text)?.[1]
    return quoted === undefined ? [] : [redactText(quoted.replace(/\\(.)/g, '$1').slice(0, 500))]
  })
}

function tooLarge(response: HttpResponse, limit: number, what: string): RegistryError {
  const { host, href: url } = response.url
  response.cancel()
  const message = `${what} is larger than ${limit} bytes`
  return new RegistryError('ERR_REGISTRY_TOO_LARGE', message, {
    expected: `at most ${limit}`,
    host,
    url,
  })
}

/** The single value of a header. */
export function header(response: HttpResponse, name: string): string | undefined {
  const value = response.headers[name]
  return Array.isArray(value) ? value[0] : value
}

/** An answer that is not what was asked for, as a typed error. Reads the body. */
export async function statusError(
  response: HttpResponse,
  exchange: FailedExchange,
): Promise<RegistryError> {
  const { status, url } = response
  const { action, method, reference } = exchange
  const errors = await readDetails(response, exchange.secrets)
  const [first] = errors
  const unsupported = errors.some(({ code }) => code === 'UNSUPPORTED')
  const { code, why, hint, temporary } = judge(
    unsupported ? 405 : status,
    url.host,
    exchange.refused,
  )
  const retryable = temporary || exchange.repeatable
  const said = first === undefined ? '' : ` (${first.message || first.code})`
  const retryAfterMs = temporary ? parseRetryAfter(header(response, 'retry-after')) : undefined
  return new RegistryError(code, `${action}: ${why}${said}`, {
    hint: retryAfterMs
      ? `${hint}; the registry asks to wait ${Math.ceil(retryAfterMs / 1000)} s`
      : hint,
    host: url.host,
    method,
    url: url.href,
    status,
    errors: errors.length === 0 ? undefined : errors,
    reference,
    retryAfterMs,
    temporary: retryable,
  })
}

/** How people log in to the registry whose API a host is. */
export function loginCommands(host: string): string {
  const name = host === apiHost('docker.io') ? 'docker.io' : host
  return `podman login ${name} or docker login ${name}`
}

interface Judgement {
  code: RegistryErrorCode
  why: string
  hint?: string
  temporary?: true
}

function judge(status: number, host: string, refused = false): Judgement {
  if (status === 401 && refused) {
    return {
      code: 'ERR_REGISTRY_UNAUTHORIZED',
      why: `${host} refuses the stored credentials`,
      hint: `log in again: ${loginCommands(host)}`,
    }
  }
  if (status === 401) {
    return {
      code: 'ERR_REGISTRY_UNAUTHORIZED',
      why: `it does not exist on ${host}, or needs credentials`,
      hint: `check the name; if it is private, log in: ${loginCommands(host)}`,
    }
  }
  if (status === 403) {
    return {
      code: 'ERR_REGISTRY_DENIED',
      why: `${host} denies access`,
      hint: 'check the name, and that your account has access to it',
    }
  }
  if (status === 404) {
    return {
      code: 'ERR_REGISTRY_NOT_FOUND',
      why: `not found on ${host}`,
      hint: 'check the spelling of the name and the tag',
    }
  }
  if (status === 405) {
    return { code: 'ERR_REGISTRY_UNSUPPORTED', why: `${host} does not support or allow it` }
  }
  if (status === 409 || status === 412) {
    return {
      code: 'ERR_REGISTRY_CONFLICT',
      why: `${host} has something else there (status ${status})`,
      hint: 'the tag may be one that the registry lets nobody replace; else somebody else was faster',
    }
  }
  if (status === 413) {
    const why = `it is larger than ${host} takes`
    return { code: 'ERR_REGISTRY_TOO_LARGE', why }
  }
  if (status === 429) {
    return {
      code: 'ERR_REGISTRY_RATE_LIMITED',
      why: `${host} limits how often it may be asked`,
      hint: 'try again later, or log in: registries allow more to those they know',
      temporary: true,
    }
  }
  const why = `${host} answered with status ${status}`
  if (status === 408 || (status >= 500 && status !== 501)) {
    return { code: 'ERR_REGISTRY_SERVER', why, hint: 'try again later', temporary: true }
  }
  return { code: status === 501 ? 'ERR_REGISTRY_SERVER' : 'ERR_REGISTRY_PROTOCOL', why }
}

async function readDetails(
  response: HttpResponse,
  secrets: string[],
): Promise<RegistryErrorDetail[]> {
  try {
    const body = await readBody(response, MAX_ERROR_BODY, 'the error')
    const document: unknown = JSON.parse(body.toString('utf8'))
    return detailsOf(document).map(({ code, message }) => ({
      code: clean(code, secrets),
      message: clean(message, secrets),
    }))
  } catch {
    return [] // an error page in HTML, or a connection that broke: the status says enough
  }
}

function detailsOf(document: unknown): RegistryErrorDetail[] {
  if (!isObject(document)) return []
  const { errors, details, message } = document
  if (Array.isArray(errors)) {
    return errors
      .slice(0, MAX_DETAILS)
      .filter(isObject)
      .map((item) => ({
        code: typeof item['code'] === 'string' ? item['code'] : '',
        message: typeof item['message'] === 'string' ? item['message'] : '',
      }))
  }
  const { error, error_description: description } = document // RFC 6749, section 5.2
  const text = details ?? message ?? description // Docker's token service says it in the first
  const code = typeof error === 'string' ? error : ''
  if (typeof text !== 'string' && code === '') return []
  return [{ code, message: typeof text === 'string' ? text : '' }]
}

/** Untrusted text on its way to a terminal: no control characters, no secrets, not too long. */
function clean(text: string, secrets: string[]): string {
  const printable = text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ')
  const masked = maskSecrets(printable, secrets)
  return masked.length > MAX_DETAIL_LENGTH ? `${masked.slice(0, MAX_DETAIL_LENGTH)}…` : masked
}
