import { PolicyError } from '../errors.ts'

/** Whether a path is a pattern. A URL never is: for names that contain these characters. */
export function isPattern(path: string | URL): path is string {
  return typeof path === 'string' && /[*?[{]/.test(path)
}

/** A pattern ready for a walk. */
export interface Pattern {
  matches(path: string): boolean
  /** The directory that all matches are below. */
  base: string
  /** How many names deeper than `base` a match can be. */
  depth: number
}

/**
 * A pattern over absolute paths: `*` and `?` within a name (leading dots too: what is to be hidden
 * should be), `[abc]`, `{a,b}`, and `**` for any number of directories. One that starts with `**`
 * matches anywhere, others are relative to `base`.
 * Throws PolicyError for what it would misunderstand.
 */
export function parsePattern(
  pattern: string,
  base: string,
  pointer: string,
  mayBeAnywhere = true,
): Pattern {
  const names = pattern.split('/').filter((name) => name !== '' && name !== '.')
  if (names.includes('..')) {
    throw new PolicyError(`${pointer}: .. cannot stand in a pattern`, { pointer })
  }
  const anywhere = mayBeAnywhere && names[0] === '**' && !pattern.startsWith('/')
  const start = anywhere || pattern.startsWith('/') ? '/' : base
  const literal = names.findIndex(isPattern)
  const deepest = [start, ...names.slice(0, literal)].join('/').replace(/\/+/g, '/')
  const source = names.slice(literal).map((name) => segmentSource(name, pointer))
  const prefix = deepest === '/' ? '/' : `${escapeText(deepest)}/`
  const expression = new RegExp(`^${prefix}${source.join('')}$`)
  return {
    matches: (path) => expression.test(`${path}/`),
    base: deepest,
    depth: names.includes('**') ? Number.POSITIVE_INFINITY : source.length,
  }
}

function segmentSource(name: string, pointer: string): string {
  if (name === '**') return '(?:[^/]+/)*'
  if (!name.includes('**')) return `${namePattern(name, pointer)}/`
  const hint = 'write **/ for any number of directories'
  throw new PolicyError(`${pointer}: ** must stand alone between slashes`, { pointer, hint })
}

function escapeText(text: string): string {
  return text.replace(/[.\\+*?^$()|{}[\]]/g, '\\$&')
}

function namePattern(segment: string, pointer: string): string {
  let braces = 0
  const source = segment.replace(/\[[^\]/]*\]|./gsu, (token) => {
    if (token.length > 1 && token.startsWith('[')) return characterClass(token)
    if (token === '*') return '[^/]*'
    if (token === '?') return '[^/]'
    if (token === '{') {
      braces++
      return '(?:'
    }
    if (token === '}' && braces > 0) {
      braces--
      return ')'
    }
    if (token === ',' && braces > 0) return '|'
    if (token === '[') throw unbalanced(pointer)
    return escapeText(token)
  })
  if (braces > 0) throw unbalanced(pointer)
  return source
}

function characterClass(token: string): string {
  const negated = /^\[[!^]/.test(token)
  const inner = token.slice(negated ? 2 : 1, -1).replace(/[\\\]^[]/g, '\\$&')
  if (inner === '') return '\\[\\]'
  return negated ? `[^/${inner}]` : `[${inner}]`
}

function unbalanced(pointer: string): PolicyError {
  return new PolicyError(`${pointer}: a bracket or brace is not closed`, { pointer })
}
