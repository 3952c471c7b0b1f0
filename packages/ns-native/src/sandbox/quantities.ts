import { PolicyError } from '../errors.ts'

/** Bytes, or a number with a unit: `'512M'` is 512 × 1024 × 1024, as for docker. */
export type Size = number | string

/** Milliseconds, or a number with a unit: `'500ms'`, `'30s'`, `'5m'`, `'1h'`. */
export type Duration = number | string

const SIZE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
}
const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}

/** Throws PolicyError, with the pointer. */
export function parseSize(value: Size, pointer: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?) ?([kmgt]?)(?:i?b)?$/i.exec(String(value)) ?? []
  const bytes = Math.round(Number(digits) * (SIZE_UNITS[unit?.toLowerCase() ?? ''] ?? Number.NaN))
  return positive(bytes, value, pointer, `a size: bytes, or such as '512M'`)
}

/** Throws PolicyError, with the pointer. */
export function parseDuration(value: Duration, pointer: string): number {
  const text = typeof value === 'number' ? `${value}ms` : value
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?) ?(ms|s|m|h)$/.exec(text) ?? []
  const ms = Math.round(Number(digits) * (DURATION_UNITS[unit] ?? Number.NaN))
  return positive(ms, value, pointer, `a duration: milliseconds, or such as '30s'`)
}

function positive(result: number, given: unknown, pointer: string, what: string): number {
  if (Number.isSafeInteger(result) && result > 0) return result
  const message = `${pointer}: expected ${what}, but received ${JSON.stringify(given)}`
  throw new PolicyError(message, { pointer })
}
