import { PolicyError } from './errors.ts'

// Parts of the checks of a launch spec. Each throws ERR_NS_SPEC with the JSON pointer it is given.

export const PATH_MAX_BYTES = 4095

export function checkPath(path: string | undefined, pointer: string): void {
  check(path !== undefined, pointer, 'is missing')
  checkText(path, pointer)
  if (!path.startsWith('/'))
    throw invalid(pointer, `must be an absolute path, but is ${show(path)}`)
  // a character has at most three bytes
  const tooLong = path.length * 3 > PATH_MAX_BYTES && Buffer.byteLength(path) > PATH_MAX_BYTES
  check(!tooLong, pointer, `is longer than ${PATH_MAX_BYTES} bytes`)
}

export function checkText(text: string, pointer: string): void {
  check(typeof text === 'string', pointer, 'must be a string')
  check(!text.includes('\0'), pointer, 'contains a NUL byte')
}

export function checkInteger(
  value: number,
  pointer: string,
  max = Number.MAX_SAFE_INTEGER,
  min = 0,
): void {
  const valid = Number.isInteger(value) && value >= min && value <= max
  if (valid) return
  throw invalid(pointer, `must be an integer from ${min} to ${max}, but is ${show(value)}`)
}

/** Visits each; the pointer to one is put together only when it is refused, by a second visit. */
export function each<T>(
  items: readonly T[],
  pointer: string,
  visit: (item: T, at: string) => void,
): void {
  items.forEach((item, index) => {
    try {
      visit(item, '')
    } catch {
      visit(item, `${pointer}/${index}`)
    }
  })
}

export function show(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 100) ?? String(value)
}

/** `why` is a function where it takes work to say, which is done at every launch otherwise. */
export function check(
  condition: boolean,
  pointer: string,
  why: string | (() => string),
): asserts condition {
  if (!condition) throw invalid(pointer, typeof why === 'string' ? why : why())
}

function invalid(pointer: string, why: string): PolicyError {
  return new PolicyError(`invalid launch spec: ${pointer}: ${why}`, { pointer }, 'ERR_NS_SPEC')
}
