import { readFile } from 'node:fs/promises'
import { RegistryError } from '../errors.ts'
import { isObject, type JsonObject } from '../image/json-document.ts'
import { isMissing } from '../layout/layout-error.ts'
import type { Credentials } from './credentials.ts'

/** The credentials that a file holds itself. */
export type AuthEntry = Credentials

/** What matters in Docker's config.json and podman's auth.json. */
export interface AuthFile {
  /** By `host` or `host/namespace…`, whatever spelling of a URL the file has. */
  entries: Map<string, AuthEntry>
  /** Credential helper by host. */
  helpers: Map<string, string>
  /** The helper for all other hosts. */
  store?: string
}

/** Read such a file; undefined if there is none. Throws `ERR_REGISTRY_CREDENTIALS`, which never quotes it. */
export async function readAuthFile(path: string): Promise<AuthFile | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (isMissing(error)) return undefined
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
    throw broken(path, `it cannot be read (${why})`)
  }
  return parseAuthFile(text, path)
}

function parseAuthFile(text: string, path: string): AuthFile {
  let document: unknown
  try {
    document = text.trim() === '' ? {} : JSON.parse(text)
  } catch {
    // The error quotes the text, and the text holds passwords.
    throw broken(path, 'it is not JSON')
  }
  if (!isObject(document)) throw broken(path, 'it is not a JSON object')
  const store = document['credsStore']
  return {
    entries: parseEntries(members(document, 'auths', path), path),
    helpers: parseHelpers(members(document, 'credHelpers', path)),
    ...(typeof store === 'string' && store !== '' ? { store } : {}),
  }
}

function parseEntries(auths: JsonObject, path: string): Map<string, AuthEntry> {
  const entries = new Map<string, AuthEntry>()
  for (const [key, value] of Object.entries(auths)) {
    const entry = isObject(value) ? parseEntry(value, key, path) : undefined
    if (entry !== undefined) entries.set(normalizeKey(key), entry)
  }
  return entries
}

function parseHelpers(credHelpers: JsonObject): Map<string, string> {
  const helpers = new Map<string, string>()
  for (const [key, helper] of Object.entries(credHelpers)) {
    if (typeof helper === 'string' && helper !== '') helpers.set(normalizeKey(key), helper)
  }
  return helpers
}

/** With a store in use, docker leaves an empty entry behind. */
function parseEntry(value: JsonObject, key: string, path: string): AuthEntry | undefined {
  const { auth, username, password, identitytoken } = value
  if (typeof identitytoken === 'string' && identitytoken !== '') {
    return { type: 'identity-token', token: identitytoken }
  }
  if (typeof username === 'string' && typeof password === 'string') {
    return { type: 'password', username, password }
  }
  if (typeof auth !== 'string' || auth === '') return undefined
  const decoded = Buffer.from(auth, 'base64').toString('utf8').replace(/\0+$/, '')
  const colon = decoded.indexOf(':')
  if (colon < 1)
    throw broken(path, `the entry for ${normalizeKey(key)} is not base64 of NAME:PASSWORD`)
  return { type: 'password', username: decoded.slice(0, colon), password: decoded.slice(colon + 1) }
}

/** `https://index.docker.io/v1/` and `https://host/v2/` are old spellings of a host. */
function normalizeKey(key: string): string {
  const bare = key.replace(/^https?:\/\//, '').replace(/\/+$/, '')
  const legacy = /^([^/]+)\/v[12]$/.exec(bare)?.[1]
  const host = legacy ?? bare
  return host === 'index.docker.io' ? 'docker.io' : host
}

function members(document: JsonObject, key: string, path: string): JsonObject {
  const value = document[key] ?? {}
  if (!isObject(value)) throw broken(path, `"${key}" is not an object`)
  return value
}

function broken(path: string, why: string): RegistryError {
  return new RegistryError(
    'ERR_REGISTRY_CREDENTIALS',
    `cannot use the credentials in ${path}: ${why}`,
    {
      path,
      hint: 'repair or remove the file, then log in again with podman login or docker login',
    },
  )
}
