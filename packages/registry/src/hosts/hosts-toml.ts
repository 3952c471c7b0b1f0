import { dirname, resolve } from 'node:path'
import { apiHost } from '../http/host-rules.ts'
import { readTlsFiles, type TlsFiles } from './certs-dir.ts'
import type { Capability, TlsSettings } from './endpoint.ts'
import {
  isTable,
  optionalBoolean,
  optionalString,
  type TomlFile,
  type TomlPath,
} from './toml-file.ts'

/** What a hosts.toml says of one host. */
export interface TomlHost {
  base: URL
  capabilities: Capability[]
  tls: TlsSettings
  headers: Record<string, string>
  because: string
}

/** What a hosts.toml says. */
export interface HostsToml {
  /** In the order of the file. */
  hosts: TomlHost[]
  /** Asked last. `base` is undefined if the file does not say, which means the registry itself. */
  server: Omit<TomlHost, 'base'> & { base?: URL }
}

const ALL: readonly Capability[] = ['pull', 'resolve', 'push']

/**
 * Read what containerd's hosts.toml means, and the files it names.
 *
 * `dial_timeout` and all keys that are not known are passed over. Throws `ERR_REGISTRY_HOSTS`.
 * Source: containerd, docs/hosts.md.
 */
export async function parseHostsToml(file: TomlFile): Promise<HostsToml> {
  const table = file.root['host'] ?? {}
  if (!isTable(table)) throw file.broken(['host'], 'is not a table')
  const hosts: TomlHost[] = []
  for (const [name, settings] of Object.entries(table)) {
    const at = ['host', name]
    if (!isTable(settings)) throw file.broken(at, 'is not a table')
    const base = apiBase(file, name, { at, table: settings })
    hosts.push({ base, ...(await parseHost(file, settings, at)) })
  }
  const server = optionalString(file, file.root, ['server'])
  const own = await parseHost(file, file.root, [])
  const because = file.where(['server'])
  if (!server) return { hosts, server: { ...own, because } }
  const base = apiBase(file, server, { at: ['server'], table: file.root })
  return { hosts, server: { ...own, because, base } }
}

async function parseHost(file: TomlFile, table: Record<string, unknown>, at: TomlPath) {
  return {
    capabilities: parseCapabilities(file, table, [...at, 'capabilities']),
    tls: await parseTls(file, table, at),
    headers: parseHeaders(file, table, [...at, 'header']),
    because: file.where(at),
  }
}

interface HostTable {
  at: TomlPath
  table: Record<string, unknown>
}

/** `/v2` comes after the path of the URL, unless it is there or `override_path` says that it is not. */
function apiBase(file: TomlFile, text: string, { at, table }: HostTable): URL {
  const full = /^https?:\/\//.test(text) ? text : `https://${text}`
  const url = URL.canParse(full) ? new URL(full) : undefined
  if (url === undefined || url.username || url.password || url.search || url.hash) {
    throw file.broken(at, 'is not the URL of a host')
  }
  const key = at.at(-1) === 'server' ? [] : at
  const override = optionalBoolean(file, table, [...key, 'override_path']) ?? false
  const path = url.pathname.replace(/\/+$/, '')
  url.pathname = override || path.endsWith('/v2') ? `${path}/` : `${path}/v2/`
  url.host = apiHost(url.host)
  return url
}

function parseCapabilities(
  file: TomlFile,
  table: Record<string, unknown>,
  at: TomlPath,
): Capability[] {
  const value = table['capabilities']
  if (value === undefined) return [...ALL]
  if (!Array.isArray(value)) throw file.broken(at, 'is not an array')
  if (value.length === 0) return [...ALL]
  return value.flatMap((item) => {
    const name = String(item).toLowerCase()
    if (name === 'referrers') return []
    const found = ALL.find((each) => each === name)
    if (found === undefined) throw file.broken(at, 'holds more than "pull", "resolve" and "push"')
    return [found]
  })
}

async function parseTls(
  file: TomlFile,
  table: Record<string, unknown>,
  at: TomlPath,
): Promise<TlsSettings> {
  const directory = dirname(file.path)
  const insecure = optionalBoolean(file, table, [...at, 'skip_verify']) ?? false
  const ca = stringsOf(file, table['ca'], [...at, 'ca']).map((path) => resolve(directory, path))
  const [pair] = clientPairs(file, table['client'], [...at, 'client'])
  const files: TlsFiles = {
    ca,
    ...(pair === undefined
      ? {}
      : {
          cert: resolve(directory, pair[0]),
          // One file may hold both.
          key: resolve(directory, pair[1] || pair[0]),
        }),
  }
  return { ...(await readTlsFiles(files)), ...(insecure ? { insecure } : {}) }
}

/** A path, an array of paths, or an array of pairs; a key that is not named stands with its certificate. */
function clientPairs(file: TomlFile, value: unknown, at: TomlPath): Array<[string, string]> {
  if (value === undefined) return []
  const items = typeof value === 'string' ? [value] : value
  if (!Array.isArray(items)) throw file.broken(at, 'is neither a path nor an array')
  return items.map((item: unknown) => {
    if (typeof item === 'string') return [item, '']
    const [cert, key = '', ...more] = Array.isArray(item) ? item : []
    if (typeof cert === 'string' && typeof key === 'string' && more.length === 0) return [cert, key]
    throw file.broken(at, 'holds what is neither a path nor a pair of paths')
  })
}

function parseHeaders(
  file: TomlFile,
  table: Record<string, unknown>,
  at: TomlPath,
): Record<string, string> {
  const value = table['header'] ?? {}
  if (!isTable(value)) throw file.broken(at, 'is not a table')
  const headers: Record<string, string> = {}
  for (const [name, content] of Object.entries(value)) {
    const text = stringsOf(file, content, [...at, name]).join(', ')
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) || /[\r\n\0]/.test(text)) {
      throw file.broken([...at, name], 'is not a header')
    }
    headers[name.toLowerCase()] = text
  }
  return headers
}

function stringsOf(file: TomlFile, value: unknown, at: TomlPath): string[] {
  if (value === undefined) return []
  if (typeof value === 'string') return [value]
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value
  throw file.broken(at, 'is neither a string nor an array of strings')
}
