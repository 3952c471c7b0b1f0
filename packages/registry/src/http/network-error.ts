import { abortedError } from '../abort.ts'
import { RegistryError, type RegistryErrorCode } from '../errors.ts'

/** What was being done when the network failed. */
export interface FailedRequest {
  method: string
  url: URL
  signal?: AbortSignal | undefined
  /** Whether a proxy stood between. */
  proxied?: boolean
}

interface Diagnosis {
  code: RegistryErrorCode
  /** Follows `cannot reach HOST: `. */
  why: string
  hint: string
  /** Set if trying again at once may help. */
  temporary?: boolean
}

const NETWORK_HINT = 'check the network, and whether a proxy is needed (HTTPS_PROXY)'
const RETRY_HINT = 'try again; what was downloaded is kept'
const CERTIFICATE_HINT =
  'if the registry has its own certificate authority, put its certificate into certs.d/HOST/ca.crt, name its ' +
  'file in NODE_EXTRA_CA_CERTS, or pass it as `ca`'
const CLIENT_CERTIFICATE_HINT =
  'put the certificate and its key into certs.d/HOST/client.cert and client.key, or pass them as `tls` of the host'
const TIMEOUT: Omit<Diagnosis, 'why'> = {
  code: 'ERR_REGISTRY_TIMEOUT',
  hint: `try again, or ${NETWORK_HINT}`,
  temporary: true,
}
const NO_SUCH_NAME: Diagnosis = {
  code: 'ERR_REGISTRY_NAME_RESOLUTION',
  why: 'name cannot be resolved',
  hint: 'check the spelling of the registry, the network, and whether a proxy is needed (HTTPS_PROXY)',
}
const CUT: Diagnosis = {
  code: 'ERR_REGISTRY_UNREACHABLE',
  why: 'the connection was cut',
  hint: RETRY_HINT,
  temporary: true,
}

const NOT_HTTP: Diagnosis = {
  code: 'ERR_REGISTRY_PROTOCOL',
  why: 'its answer is not HTTP',
  hint: 'check the port: something else than a registry may listen there',
}

const NO_CLIENT_CERTIFICATE = tls('it wants a client certificate', CLIENT_CERTIFICATE_HINT)
const BAD_CLIENT_CERTIFICATE = tls('it refuses the client certificate', CLIENT_CERTIFICATE_HINT)

const DIAGNOSES: Record<string, Diagnosis> = {
  ENOTFOUND: NO_SUCH_NAME,
  EAI_AGAIN: NO_SUCH_NAME,
  EAI_NODATA: NO_SUCH_NAME,
  EAI_NONAME: NO_SUCH_NAME,
  EAI_FAIL: NO_SUCH_NAME,
  ECONNREFUSED: unreachable(
    'connection refused',
    'check that the registry runs and its port is right',
  ),
  EHOSTUNREACH: unreachable('no route to the host', NETWORK_HINT),
  ENETUNREACH: unreachable('no route to its network', NETWORK_HINT),
  ENETDOWN: unreachable('the network is down', NETWORK_HINT),
  EADDRNOTAVAIL: unreachable('no local address to reach it from', NETWORK_HINT),
  EACCES: unreachable(
    'connecting is not permitted',
    'check the firewall and the sandbox this runs in',
  ),
  EPERM: unreachable(
    'connecting is not permitted',
    'check the firewall and the sandbox this runs in',
  ),
  ECONNRESET: CUT,
  EPIPE: CUT,
  UND_ERR_SOCKET: CUT,
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: CUT,
  ETIMEDOUT: { ...TIMEOUT, why: 'no connection in time' },
  UND_ERR_CONNECT_TIMEOUT: { ...TIMEOUT, why: 'no connection in time' },
  UND_ERR_HEADERS_TIMEOUT: { ...TIMEOUT, why: 'no answer in time' },
  UND_ERR_BODY_TIMEOUT: { ...TIMEOUT, why: 'the transfer stalled', hint: RETRY_HINT },
  DEPTH_ZERO_SELF_SIGNED_CERT: tls('its certificate is self-signed'),
  SELF_SIGNED_CERT_IN_CHAIN: tls('its certificate comes from an unknown authority'),
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: tls('its certificate comes from an unknown authority'),
  UNABLE_TO_GET_ISSUER_CERT: tls('its certificate comes from an unknown authority'),
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: tls('its certificate comes from an unknown authority'),
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: NO_CLIENT_CERTIFICATE,
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: BAD_CLIENT_CERTIFICATE,
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: BAD_CLIENT_CERTIFICATE,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: BAD_CLIENT_CERTIFICATE,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: BAD_CLIENT_CERTIFICATE,
  ERR_OSSL_X509_KEY_VALUES_MISMATCH: tls(
    'the client certificate and its key do not belong together',
    CLIENT_CERTIFICATE_HINT,
  ),
  CERT_HAS_EXPIRED: tls('its certificate has expired', 'check the date of this machine'),
  CERT_NOT_YET_VALID: tls('its certificate is not valid yet', 'check the date of this machine'),
  ERR_TLS_CERT_ALTNAME_INVALID: tls(
    'its certificate is for another name',
    'check the spelling of the registry',
  ),
}

/** undici puts what it could not parse, which may be anything, into its error. */
function printable(error: unknown): unknown {
  return isParserError(error) && error instanceof Error ? new Error(error.message) : error
}

const NO_TLS = /wrong version number|packet length too long|record layer|http request/i

/** Whether the other side answered a TLS greeting with something that is not TLS. */
export function isNotTls(error: unknown): boolean {
  return chainOf(error).some(
    ({ code, message }) => /^(?:EPROTO|ERR_SSL_)/.test(code) && NO_TLS.test(message),
  )
}

/** A failure below HTTP as a typed error that says what was asked, what happened and what to do. */
export function networkError(error: unknown, request: FailedRequest): RegistryError {
  if (error instanceof RegistryError) return error
  if (request.signal?.aborted) return abortedError(request.signal)
  const { method, url, proxied = false } = request
  const { code, why, hint, temporary = false } = diagnose(error)
  const { host, href } = url
  const way = proxied ? `${host} through the proxy` : host
  const message =
    code === CUT.code && temporary ? `lost ${way}: ${why}` : `cannot reach ${way}: ${why}`
  return new RegistryError(code, message, {
    hint,
    host,
    method,
    url: href,
    temporary,
    cause: printable(error),
  })
}

function diagnose(error: unknown): Diagnosis {
  if (isNotTls(error)) {
    return tls('it does not speak TLS', 'if it is meant to be plain HTTP, list it in `plainHttp`')
  }
  if (isParserError(error)) return NOT_HTTP
  for (const { code } of chainOf(error)) {
    const known = DIAGNOSES[code] ?? diagnoseFamily(code)
    if (known !== undefined) return known
  }
  const why = error instanceof Error ? error.message : String(error)
  return unreachable(why, NETWORK_HINT)
}

function isParserError(error: unknown): boolean {
  return error instanceof Error && error.name === 'HTTPParserError'
}

function diagnoseFamily(code: string): Diagnosis | undefined {
  if (code.startsWith('ERR_OSSL_')) {
    return tls(`the certificates or the key given for it cannot be used (${code})`)
  }
  if (/^(?:EPROTO|ERR_SSL_|ERR_TLS_|CERT_|UND_ERR_PRX_TLS)/.test(code)) {
    return tls(`the TLS handshake failed (${code})`)
  }
  if (code === 'UND_ERR_DESTROYED' || code === 'UND_ERR_CLOSED') {
    return {
      code: 'ERR_REGISTRY_CLOSED',
      why: 'the client is closed',
      hint: 'create another client',
    }
  }
  return undefined
}

/** The coded errors in an error: itself, those it bundles (one per address tried), its causes. */
function chainOf(error: unknown, depth = 0): Array<{ code: string; message: string }> {
  if (!(error instanceof Error) || depth > 4) return []
  const { message } = error
  const own =
    'code' in error && typeof error.code === 'string' ? [{ code: error.code, message }] : []
  const bundled = error instanceof AggregateError ? error.errors : []
  return [...own, ...[...bundled, error.cause].flatMap((inner) => chainOf(inner, depth + 1))]
}

function unreachable(why: string, hint: string): Diagnosis {
  return { code: 'ERR_REGISTRY_UNREACHABLE', why, hint }
}

function tls(why: string, hint = CERTIFICATE_HINT): Diagnosis {
  return { code: 'ERR_REGISTRY_TLS', why, hint }
}
