/** One way to authenticate that a server offers. */
export interface Challenge {
  /** In lower case: `bearer`, `basic`, … */
  scheme: string
  /** By lower-case name. */
  parameters: Record<string, string>
  /** The form without names, as in `Negotiate YII…`. */
  token68?: string
}

const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y
const TOKEN68 = /[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))/y
const EQUALS = /[ \t]*=[ \t]*/y
const SPACES = /[ \t]+/y
const COMMAS = /[ \t]*(?:,[ \t]*)+/y
const QUOTED = /"((?:[^"\\]|\\.)*)"/sy
/** Servers forget the quotes, mostly around URLs: what cannot be anything else is taken as the value. */
const BARE_VALUE = /[^\s,"]+/y
const MAX_HEADER_LENGTH = 16 * 1024

/**
 * The challenges of a `WWW-Authenticate` header, or of several such headers, in order.
 *
 * Several challenges may share a header, and commas separate both challenges and parameters, so that
 * only a grammar tells them apart. What follows a syntax error in a header is ignored, but for two that are common:
 * values that should be quoted, and spaces in place of commas between parameters. Of a parameter
 * that is given twice the first counts. Parsing never throws and takes time in proportion to the length.
 * Source: RFC 9110, sections 11.2, 11.3 and 11.6.1.
 */
export function parseChallenges(headers: string | string[] | undefined): Challenge[] {
  const list = headers === undefined ? [] : Array.isArray(headers) ? headers : [headers]
  return list.flatMap((header) => (header.length > MAX_HEADER_LENGTH ? [] : parseHeader(header)))
}

/** Whether a token was good, but not for this: the one reason to answer a 403. Source: RFC 6750, section 3.1. */
export function wantsScope(challenges: Challenge[]): boolean {
  return challenges.some(
    ({ scheme, parameters: { error, scope } }) =>
      scheme === 'bearer' && error === 'insufficient_scope' && scope !== undefined,
  )
}

function parseHeader(header: string): Challenge[] {
  const challenges: Challenge[] = []
  let position = skip(COMMAS, header, skip(SPACES, header, 0))
  while (position < header.length) {
    const scheme = match(TOKEN, header, position)
    if (scheme === undefined) break
    const challenge: Challenge = {
      scheme: scheme.text.toLowerCase(),
      // Without a prototype: a parameter may be called anything.
      parameters: Object.create(null),
    }
    challenges.push(challenge)
    const next = readCredentials(header, scheme.end, challenge)
    if (next === undefined) break
    position = next
  }
  return challenges
}

/** Read what follows a scheme up to the next one. Undefined at a syntax error. */
function readCredentials(header: string, start: number, challenge: Challenge): number | undefined {
  const separated = skip(COMMAS, header, start)
  if (separated > start) return separated
  const first = skip(SPACES, header, start)
  const parameter = readParameter(header, first)
  const token68 = parameter === undefined ? match(TOKEN68, header, first) : undefined
  if (token68 === undefined) return readParameters(header, first, challenge)
  challenge.token68 = token68.text
  return skip(COMMAS, header, token68.end)
}

function readParameters(header: string, first: number, challenge: Challenge): number | undefined {
  let position = first
  while (position < header.length) {
    const parameter = readParameter(header, position)
    // After a parameter and a comma, what is none is the scheme of the next challenge.
    if (parameter === undefined) return position === first ? undefined : position
    challenge.parameters[parameter.name] ??= parameter.value
    const next = skip(COMMAS, header, parameter.end)
    position = next === parameter.end ? skip(SPACES, header, next) : next
    const isGap = next === parameter.end && position < header.length
    if (isGap && readParameter(header, position) === undefined) return undefined
  }
  return position
}

function readParameter(
  header: string,
  position: number,
): { name: string; value: string; end: number } | undefined {
  const name = match(TOKEN, header, position)
  const equals = name && match(EQUALS, header, name.end)
  if (name === undefined || equals === undefined) return undefined
  const value = match(QUOTED, header, equals.end) ?? bareValue(header, equals.end)
  if (value === undefined) return undefined
  const text = value.group === undefined ? value.text : value.group.replace(/\\(.)/gs, '$1')
  return { name: name.text.toLowerCase(), value: text, end: value.end }
}

/** `a==` is no parameter, but the end of a token68. */
function bareValue(header: string, position: number): Match | undefined {
  const value = match(BARE_VALUE, header, position)
  return value === undefined || /^=*$/.test(value.text) ? undefined : value
}

interface Match {
  text: string
  group: string | undefined
  end: number
}

function match(expression: RegExp, text: string, position: number): Match | undefined {
  expression.lastIndex = position
  const found = expression.exec(text)
  return found === null ? undefined : { text: found[0], group: found[1], end: expression.lastIndex }
}

function skip(expression: RegExp, text: string, position: number): number {
  return match(expression, text, position)?.end ?? position
}
