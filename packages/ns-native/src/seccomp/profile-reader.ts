import { constants } from 'node:os'
import { PolicyError } from '../errors.ts'

// Checked access to a profile, which may have come from anywhere: everything that is wrong is an
// ERR_NS_SPEC with the JSON pointer of the place.

/** An object of a profile, and where it stands. */
export interface Place {
  value: Record<string, unknown>
  pointer: string
}

/** An error about one place of a profile. */
export function invalid(pointer: string, why: string, hint?: string): PolicyError {
  const message = `invalid seccomp profile: ${pointer === '' ? 'the whole of it' : pointer}: ${why}`
  return new PolicyError(message, { pointer, hint }, 'ERR_NS_SPEC')
}

/** An object with no other keys than these: a misspelt one would silently allow more. */
export function readObject(value: unknown, pointer: string, keys: readonly string[]): Place {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(pointer, 'must be an object')
  }
  const unknown = Object.keys(value).find((key) => !keys.includes(key))
  if (unknown !== undefined) {
    throw invalid(`${pointer}/${escapePointer(unknown)}`, 'is no property of a seccomp profile')
  }
  // an object that is no array: its keys are strings
  return { value: value as Record<string, unknown>, pointer }
}

/** The items of a list that may be missing or null, as Go writes an empty one. */
export function readList(place: Place, key: string): { item: unknown; pointer: string }[] {
  const list = place.value[key] ?? []
  const pointer = `${place.pointer}/${key}`
  if (!Array.isArray(list)) throw invalid(pointer, 'must be a list')
  return list.map((item: unknown, index) => ({ item, pointer: `${pointer}/${index}` }))
}

export function readTexts(place: Place, key: string): { item: string; pointer: string }[] {
  return readList(place, key).map(({ item, pointer }) => ({
    item: readText(item, pointer),
    pointer,
  }))
}

export function readText(value: unknown, pointer: string): string {
  if (typeof value === 'string' && value !== '') return value
  throw invalid(pointer, 'must be a non-empty string')
}

/** One of some words. */
export function readWord<Word extends string>(
  place: Place,
  key: string,
  words: Readonly<Record<Word, unknown>>,
): Word {
  const pointer = `${place.pointer}/${key}`
  const word = place.value[key]
  // Object.hasOwn has just made sure that it is one of the keys
  if (typeof word === 'string' && Object.hasOwn(words, word)) return word as Word
  throw invalid(pointer, `must be one of ${Object.keys(words).join(', ')}`)
}

const U64_MAX = 0xffffffffffffffffn

/** An unsigned number of 64 bits; undefined when it is missing or null. */
export function readU64(place: Place, key: string): bigint | undefined {
  const value = place.value[key]
  const pointer = `${place.pointer}/${key}`
  if (value === undefined || value === null) return undefined
  if (typeof value === 'bigint' && value >= 0n && value <= U64_MAX) return value
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return BigInt(value)
  const hint =
    typeof value === 'number' && value > Number.MAX_SAFE_INTEGER
      ? 'above 2^53 a number of JavaScript is not exact: give a bigint'
      : undefined
  throw invalid(pointer, 'must be an integer from 0 to 2^64 - 1', hint)
}

/** An errno given by name under one key, or by number under the other; the name comes first. */
export function readErrno(place: Place, nameKey: string, numberKey: string): number | undefined {
  const name = place.value[nameKey]
  if (name !== undefined && name !== '') {
    const numbers: Record<string, number> = constants.errno
    const number =
      typeof name === 'string' && Object.hasOwn(numbers, name) ? numbers[name] : undefined
    if (number === undefined) throw invalid(`${place.pointer}/${nameKey}`, 'is no name of an errno')
    return number
  }
  const number = readU64(place, numberKey)
  if (number === undefined || number <= 0xffffn)
    return number === undefined ? number : Number(number)
  throw invalid(`${place.pointer}/${numberKey}`, 'must be an integer from 0 to 65535')
}

function escapePointer(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1')
}
