import { lstat, readFile } from 'node:fs/promises'
import { RegistryError } from '../errors.ts'
import { isObject, type JsonObject } from '../image/json-document.ts'
import { isMissing } from '../layout/layout-error.ts'
import { parseEntry } from './auth-entry.ts'
import type { CredentialQuery, Credentials } from './credentials.ts'
import { type AuthFileFormat, keysFor, normalizeKey, spellKey } from './registry-key.ts'

/** What matters in Docker's config.json and podman's auth.json. */
export interface AuthFile {
  /** The path, or the name of what was given in its place. */
  name: string
  format: AuthFileFormat
  /** `auths`: what the file holds itself. */
  entries: KeyedValue<JsonObject>[]
  /** `credHelpers`: the helper for a host. */
  helpers: KeyedValue<string>[]
  /** `credsStore`: the helper for all other hosts. */
  store?: string
  /** `HttpHeaders`. */
  headers: Record<string, string>
}

/** A member of the file, by its key as written and as understood. */
export interface KeyedValue<T> {
  key: string
  normalized: string
  value: T
}

/**
 * Read such a file; undefined if there is none, or if it would be in a directory that this user may not
 * even enter: podman's `/run/containers` is root's own where root has used podman. Throws `ERR_REGISTRY_CREDENTIALS`,
 * which never quotes it.
 */
export async function readAuthFile(
  path: string,
  format: AuthFileFormat,
): Promise<AuthFile | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (isMissing(error) || (await isOutOfReach(path))) return undefined
    throw badAuthFile(path, `it cannot be read (${errorCode(error)})`)
  }
  return parseAuthFile(text, path, format)
}

async function isOutOfReach(path: string): Promise<boolean> {
  return lstat(path).then(
    () => false,
    (error) => errorCode(error) === 'EACCES',
  )
}

/** The same for a text that is already here. Throws `ERR_REGISTRY_CREDENTIALS`. */
export function parseAuthFile(text: string, name: string, format: AuthFileFormat): AuthFile {
  const document = parseAuthDocument(text, name)
  const store = document['credsStore']
  return {
    name,
    format,
    entries: keyed(members(document, 'auths', name), isObject),
    helpers: keyed(members(document, 'credHelpers', name), isName),
    ...(isName(store) ? { store } : {}),
    headers: Object.fromEntries(
      Object.entries(members(document, 'HttpHeaders', name)).filter(
        (header): header is [string, string] => typeof header[1] === 'string',
      ),
    ),
  }
}

/** The JSON object of such a file. Throws `ERR_REGISTRY_CREDENTIALS`. */
export function parseAuthDocument(text: string, name: string): JsonObject {
  let document: unknown
  try {
    document = text.trim() === '' ? {} : JSON.parse(text)
  } catch {
    // The error quotes the text, and the text holds passwords.
    throw badAuthFile(name, 'it is not JSON')
  }
  if (!isObject(document)) throw badAuthFile(name, 'it is not a JSON object')
  return document
}

/** The object at this key; empty if there is none. Throws `ERR_REGISTRY_CREDENTIALS`. */
export function members(document: JsonObject, key: string, name: string): JsonObject {
  const value = document[key] ?? {}
  if (!isObject(value)) throw badAuthFile(name, `"${key}" is not an object`)
  return value
}

/** The entry for a query under its most specific key that holds credentials. Throws `ERR_REGISTRY_CREDENTIALS`. */
export function findEntry(
  file: AuthFile,
  query: CredentialQuery,
): { key: string; credentials: Credentials } | undefined {
  for (const { key, value } of fitting(file.entries, keysFor(query), file.format)) {
    const found = parseEntry(value)
    if (found === 'damaged') {
      throw badAuthFile(file.name, `the entry for ${key} is not base64 of NAME:PASSWORD`)
    }
    if (found !== undefined) return { key, credentials: found }
  }
  return undefined
}

/** The helper that the file names for this registry. */
export function findHelper(
  file: AuthFile,
  registry: string,
): { key: string; value: string } | undefined {
  return fitting(file.helpers, [normalizeKey(registry)], file.format)[0]
}

/** The values under these keys, in their order; of several spellings the format's own comes first. */
function fitting<T>(
  values: KeyedValue<T>[],
  keys: string[],
  format: AuthFileFormat,
): KeyedValue<T>[] {
  return keys.flatMap((wanted) => {
    const found = values.filter(({ normalized }) => normalized === wanted)
    const rank = ({ key }: KeyedValue<T>) =>
      key === spellKey(wanted, format) ? 0 : key === wanted ? 1 : 2
    return found.sort((one, other) => rank(one) - rank(other))
  })
}

function keyed<T>(object: JsonObject, is: (value: unknown) => value is T): KeyedValue<T>[] {
  return Object.entries(object).flatMap(([key, value]) =>
    is(value) ? [{ key, normalized: normalizeKey(key), value }] : [],
  )
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

/** The `code` of a system error, for messages. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
}

/** The error for a credentials file that is of no use; `why` must not quote it. */
export function badAuthFile(path: string, why: string): RegistryError {
  return new RegistryError(
    'ERR_REGISTRY_CREDENTIALS',
    `cannot use the credentials in ${path}: ${why}`,
    { path, hint: 'repair or remove the file, then log in again' },
  )
}
