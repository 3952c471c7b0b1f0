/** Query parameters that identify a request and never grant anything. */
const PLAIN_QUERY_KEYS = new Set(['scope', 'service', 'n', 'last', 'digest', 'artifactType'])

const MASK = '***'
const CREDENTIAL = /\b(Basic|Bearer)\s+(?!realm\b)[A-Za-z0-9._~+/-]+=*/gi
/** Without the comma or full stop that may follow it in a sentence. */
const URL_IN_TEXT = /\b[a-z][a-z0-9+.-]*:\/\/[^\s"'<>]*[^\s"'<>.,;:!?)]/gi

/** The URL without user, password, fragment and the values of query parameters that may grant access. */
export function redactUrl(text: string): string {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    return text.replace(/\/\/[^/@\s]*@/, '//').replace(/[?#].*$/s, '')
  }
  url.username = ''
  url.password = ''
  url.hash = ''
  for (const key of new Set(url.searchParams.keys())) {
    if (!PLAIN_QUERY_KEYS.has(key)) url.searchParams.set(key, MASK)
  }
  return url.href
}

/** The text without authorization values, and with every URL in it redacted. */
export function redactText(text: string): string {
  return text
    .replace(URL_IN_TEXT, (url) => redactUrl(url))
    .replace(CREDENTIAL, (_, scheme: string) => `${scheme} ${MASK}`)
}

/** The text without any of the given secrets, in whatever place they appear. */
export function maskSecrets(text: string, secrets: Iterable<string>): string {
  let masked = text
  for (const secret of secrets) {
    if (secret.length >= 4) masked = masked.replaceAll(secret, MASK)
  }
  return masked
}
