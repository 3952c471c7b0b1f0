import { RegistryError } from '../errors.ts'

/** A JSON object whose members nobody has checked yet. */
export type JsonObject = Record<string, unknown>

/** The largest manifest, index or configuration that is accepted, in bytes. */
export const MAX_DOCUMENT_BYTES = 4 * 1024 * 1024

/** Parse untrusted bytes as a JSON object. Throws `ERR_REGISTRY_BAD_MANIFEST` or `ERR_REGISTRY_TOO_LARGE`. */
export function parseJsonObject(bytes: Uint8Array, what: string): JsonObject {
  checkDocumentSize(bytes.byteLength, what)
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw badDocument(what, 'it is not JSON', cause)
  }
  if (!isObject(value)) throw badDocument(what, 'it is not a JSON object')
  return value
}

/** Throws `ERR_REGISTRY_TOO_LARGE` if a document of this size is not to be read. */
export function checkDocumentSize(size: number, what: string): void {
  if (size <= MAX_DOCUMENT_BYTES) return
  throw new RegistryError(
    'ERR_REGISTRY_TOO_LARGE',
    `${what} is too large: ${size} bytes, where ${MAX_DOCUMENT_BYTES} are allowed`,
    { expected: `at most ${MAX_DOCUMENT_BYTES}`, actual: String(size) },
  )
}

/** The error for a document that breaks its specification. */
export function badDocument(what: string, why: string, cause?: unknown): RegistryError {
  return new RegistryError('ERR_REGISTRY_BAD_MANIFEST', `${what} is not valid: ${why}`, { cause })
}

/** Whether the value is an object, and neither null nor an array. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The string at this key; undefined if absent or null. */
export function optionalString(object: JsonObject, key: string, what: string): string | undefined {
  const value = object[key]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'string') throw badDocument(what, `"${key}" is not a string`)
  return value
}

/** The list of strings at this key; undefined if absent or null. */
export function optionalStrings(
  object: JsonObject,
  key: string,
  what: string,
): string[] | undefined {
  const value = object[key]
  if (value === undefined || value === null) return undefined
  if (!isStrings(value)) throw badDocument(what, `"${key}" is not a list of strings`)
  return value
}

/** The map from string to string at this key; undefined if absent or null. */
export function optionalStringMap(
  object: JsonObject,
  key: string,
  what: string,
): Record<string, string> | undefined {
  const value = object[key]
  if (value === undefined || value === null) return undefined
  if (!isStringMap(value)) throw badDocument(what, `"${key}" does not map strings to strings`)
  return value
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

function isStringMap(value: unknown): value is Record<string, string> {
  return isObject(value) && Object.values(value).every((item) => typeof item === 'string')
}
