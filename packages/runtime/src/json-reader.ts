import { RuntimeError } from './errors.ts'

/** A value of a parsed JSON document, and where in it (a JSON pointer). */
export interface JsonValue {
  value: unknown
  pointer: string
}

/** A member of an object; `value` is undefined when absent or null. */
export function member(object: JsonValue, name: string): JsonValue {
  // An object was checked for by readObject; only own members count, so no prototype is consulted.
  const record = object.value as Record<string, unknown>
  const value = Object.hasOwn(record, name) ? (record[name] ?? undefined) : undefined
  return { value, pointer: `${object.pointer}/${name.replace(/~/g, '~0').replace(/\//g, '~1')}` }
}

export function readObject(from: JsonValue): JsonValue {
  if (typeof from.value !== 'object' || from.value === null || Array.isArray(from.value)) {
    throw mismatch(from, 'an object')
  }
  return from
}

export function readString(from: JsonValue): string {
  if (typeof from.value !== 'string') throw mismatch(from, 'a string')
  if (from.value.includes('\0')) throw mismatch(from, 'a string without NUL bytes')
  return from.value
}

export function readBoolean(from: JsonValue): boolean {
  if (typeof from.value !== 'boolean') throw mismatch(from, 'true or false')
  return from.value
}

/** An unsigned 32-bit number, which is what ids, sizes and modes are. */
export function readUnsigned(from: JsonValue): number {
  const { value } = from
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 0xffff_ffff) {
    throw mismatch(from, 'a whole number from 0 to 4294967295')
  }
  return value
}

/** A whole number that is exact, or up to `max`; of either sign. */
export function readInteger(from: JsonValue, max = Number.MAX_SAFE_INTEGER): number {
  const { value } = from
  if (typeof value !== 'number' || !Number.isInteger(value) || Math.abs(value) > max) {
    throw mismatch(from, 'a whole number')
  }
  return value
}

export function readArray<T>(from: JsonValue, readItem: (item: JsonValue) => T): T[] {
  if (!Array.isArray(from.value)) throw mismatch(from, 'an array')
  return from.value.map((value: unknown, index) =>
    readItem({ value, pointer: `${from.pointer}/${index}` }),
  )
}

export function readStringMap(from: JsonValue): Record<string, string> {
  const record = readObject(from).value as Record<string, unknown> // checked by readObject
  return Object.fromEntries(Object.keys(record).map((key) => [key, readString(member(from, key))]))
}

/** The reader's result as a property to spread, or nothing when the value is absent. */
export function optional<K extends string, T>(
  object: JsonValue,
  name: K,
  read: (from: JsonValue) => T,
): { [P in K]?: T } {
  const from = member(object, name)
  // The computed key is exactly `name`, which TypeScript widens to string.
  return (from.value === undefined ? {} : { [name]: read(from) }) as { [P in K]?: T }
}

function mismatch(from: JsonValue, expected: string): RuntimeError {
  const received = from.value === undefined ? 'nothing' : JSON.stringify(from.value)?.slice(0, 60)
  return new RuntimeError(
    'ERR_RUNTIME_CONFIG',
    `config.json: ${from.pointer || '/'} should be ${expected}, not ${received}`,
    { pointer: from.pointer },
  )
}
