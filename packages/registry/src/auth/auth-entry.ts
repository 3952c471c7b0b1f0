import type { JsonObject } from '../image/json-document.ts'
import { type Credentials, encodeBasic } from './credentials.ts'

/** Every member of an entry that can hold a secret. */
const SECRET_MEMBERS = ['auth', 'username', 'password', 'identitytoken', 'registrytoken'] as const

/**
 * The credentials in an entry of `auths`; undefined if it has none, as docker leaves it when a helper
 * keeps them. Source: docker's cli/config/types/authconfig.go.
 */
export function parseEntry(entry: JsonObject): Credentials | 'damaged' | undefined {
  const registryToken = text(entry['registrytoken'])
  if (registryToken !== undefined) return { type: 'registry-token', token: registryToken }
  const pair = readPair(entry)
  const token = text(entry['identitytoken'])
  if (token !== undefined) {
    const username = pair === 'damaged' ? undefined : pair?.username
    return { type: 'identity-token', token, ...(username ? { username } : {}) }
  }
  if (pair === undefined || pair === 'damaged') return pair
  return pair.password === '' ? undefined : { type: 'password', ...pair }
}

/** The entry with other credentials, or none, and whatever else stood in it. */
export function replaceCredentials(entry: JsonObject, credentials?: Credentials): JsonObject {
  const kept = Object.fromEntries(
    Object.entries(entry).filter(([key]) => !SECRET_MEMBERS.some((member) => member === key)),
  )
  return credentials === undefined ? kept : { ...formatEntry(credentials), ...kept }
}

function formatEntry(credentials: Credentials): JsonObject {
  if (credentials.type === 'registry-token') return { registrytoken: credentials.token }
  if (credentials.type === 'password') {
    return { auth: encodeBasic(credentials.username, credentials.password) }
  }
  const { username, token } = credentials
  return { ...(username ? { auth: encodeBasic(username, '') } : {}), identitytoken: token }
}

function readPair(
  entry: JsonObject,
): { username: string; password: string } | 'damaged' | undefined {
  const auth = text(entry['auth'])
  if (auth === undefined) {
    const { username, password } = entry
    return typeof username === 'string' && typeof password === 'string' && username !== ''
      ? { username, password }
      : undefined
  }
  const decoded = Buffer.from(auth, 'base64').toString('utf8').replace(/\0+$/, '')
  const colon = decoded.indexOf(':')
  if (colon < 1) return 'damaged'
  return { username: decoded.slice(0, colon), password: decoded.slice(colon + 1) }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
