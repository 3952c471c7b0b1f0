import { RegistryError } from '../errors.ts'
import { parseReference } from '../image/reference.ts'
import type { CredentialQuery } from './credentials.ts'

/** Whose habits a credentials file follows: `docker login`'s or `podman login`'s. */
export type AuthFileFormat = 'docker' | 'podman'

/** What docker calls Docker Hub in its configuration and to its helpers. */
export const DOCKER_HUB_SERVER = 'https://index.docker.io/v1/'

const DOCKER_HUB = 'docker.io'
const DOCKER_HUB_HOSTS = new Set([DOCKER_HUB, 'index.docker.io', 'registry-1.docker.io'])

/**
 * A key of a credentials file as `host` or `host/namespace…`.
 *
 * `https://index.docker.io/v1/` and `https://host/v2/` are old spellings of a host.
 */
export function normalizeKey(key: string): string {
  const bare = key.replace(/^https?:\/\//i, '').replace(/\/+$/, '')
  const [host = '', ...path] = bare.split('/')
  const isApi = path.length === 1 && /^v[12]$/.test(path[0] ?? '')
  const name = DOCKER_HUB_HOSTS.has(host) ? DOCKER_HUB : host
  return isApi ? name : [name, ...path].join('/')
}

/** The normalized keys that fit a query, the most specific first. Source: containers-auth.json(5). */
export function keysFor({ registry, repository }: CredentialQuery): string[] {
  const keys: string[] = []
  const host = normalizeKey(registry)
  const full = repository === undefined ? host : `${host}/${repository}`
  for (let key = full; key !== ''; key = key.slice(0, Math.max(key.lastIndexOf('/'), 0))) {
    keys.push(key)
  }
  return keys
}

/** How a file of this format spells a normalized key. */
export function spellKey(key: string, format: AuthFileFormat): string {
  return key === DOCKER_HUB && format === 'docker' ? DOCKER_HUB_SERVER : key
}

/** The names by which a helper may know a registry, the likelier first. */
export function serversFor(registry: string, format: AuthFileFormat): string[] {
  const host = normalizeKey(registry)
  if (host !== DOCKER_HUB) return [host]
  return format === 'docker' ? [DOCKER_HUB_SERVER, DOCKER_HUB] : [DOCKER_HUB, DOCKER_HUB_SERVER]
}

/**
 * Take apart what people give a login command: `host`, `host:port`, `https://host/v2/`, `host/namespace`.
 *
 * Throws `ERR_REGISTRY_BAD_REFERENCE`, also for a word that a reference would not take for a host.
 */
export function parseServer(text: string): { registry: string; key: string } {
  const key = normalizeKey(text.trim())
  const { registry, repository } = parseReference(`${key}/name`)
  const path = repository.split('/').slice(0, -1).join('/')
  const isWhole = key.split('/')[0] === registry
  if (isWhole) return { registry, key: key.includes('/') ? `${registry}/${path}` : registry }
  throw new RegistryError('ERR_REGISTRY_BAD_REFERENCE', `"${text}" is not a registry`, {
    hint: `in front of images, a host has a dot or a port: ${key}:443`,
  })
}
