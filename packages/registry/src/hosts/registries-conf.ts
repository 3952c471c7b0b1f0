import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { HostRule, MirrorRule } from './host-rule.ts'
import { isPrefix, parseLocation } from './location.ts'
import {
  isTable,
  optionalBoolean,
  optionalString,
  readTomlFile,
  type TomlFile,
  type TomlPath,
  tablesOf,
} from './toml-file.ts'

/** Where podman's registries.conf is. */
export interface RegistriesConfPaths {
  /** The first that exists counts. */
  files: readonly string[]
  /** Directories of drop-ins (`*.conf`), read in order after the file, each by name; later ones win. */
  directories?: readonly string[]
}

/**
 * The rules of registries.conf (version 2, and `insecure` and `block` of version 1) and its drop-ins.
 *
 * Passed over are `unqualified-search-registries`, `short-name-mode` and `aliases`, since a short name is
 * always Docker Hub's here as it is in docker; `credential-helpers`; and every key that is not known.
 * Throws `ERR_REGISTRY_HOSTS` with file, line and key. Source: containers-registries.conf(5),
 * containers-registries.conf.d(5).
 */
export async function readRegistriesConf(paths: RegistriesConfPaths): Promise<HostRule[]> {
  const rules = new Map<string, HostRule>()
  const main = await firstFile(paths.files)
  if (main !== undefined) addAll(rules, parseRegistriesConf(main))
  for (const directory of paths.directories ?? []) {
    for (const path of await dropIns(directory)) {
      const file = await readTomlFile(path)
      if (file !== undefined) addAll(rules, parseRegistriesConf(file))
    }
  }
  return [...rules.values()]
}

/** Within a file the first of two rules for one prefix counts, and a later file replaces both. */
function addAll(rules: Map<string, HostRule>, added: HostRule[]): void {
  const seen = new Set<string>()
  for (const rule of added) {
    if (seen.has(rule.prefix)) continue
    seen.add(rule.prefix)
    rules.set(rule.prefix, rule)
  }
}

async function firstFile(paths: readonly string[]): Promise<TomlFile | undefined> {
  for (const path of paths) {
    const file = await readTomlFile(path)
    if (file !== undefined) return file
  }
  return undefined
}

async function dropIns(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => [])
  const names = entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name)
  const files = names.filter((name) => name.endsWith('.conf')).sort()
  return files.map((name) => join(directory, name))
}

/** The rules of one file. Throws `ERR_REGISTRY_HOSTS`. */
export function parseRegistriesConf(file: TomlFile): HostRule[] {
  const rules = tablesOf(file, file.root, ['registry']).map((table, index) =>
    parseRegistry(file, table, ['registry', index]),
  )
  return [...rules, ...parseVersion1(file)]
}

function parseRegistry(file: TomlFile, table: Record<string, unknown>, at: TomlPath): HostRule {
  const location = optionalLocation(file, table, [...at, 'location'])
  const prefix = optionalString(file, table, [...at, 'prefix'])?.replace(/\/+$/, '') || location
  if (prefix === undefined) throw file.broken(at, 'has neither prefix nor location')
  if (!isPrefix(prefix)) {
    const key = prefix === location ? 'location' : 'prefix'
    throw file.broken([...at, key], 'is not HOST[:PORT][/NAMESPACE…] or *.DOMAIN')
  }
  if (location === undefined && !prefix.startsWith('*.')) {
    throw file.broken(at, 'has no location')
  }
  const digestOnly = optionalBoolean(file, table, [...at, 'mirror-by-digest-only']) ?? false
  const mirrors = tablesOf(file, table, [...at, 'mirror']).map((mirror, index) =>
    parseMirror(file, mirror, { at: [...at, 'mirror', index], digestOnly }),
  )
  return {
    prefix,
    ...(location === undefined || location === prefix ? {} : { location }),
    insecure: optionalBoolean(file, table, [...at, 'insecure']) ?? false,
    blocked: optionalBoolean(file, table, [...at, 'blocked']) ?? false,
    mirrors,
    source: file.where(at),
  }
}

interface MirrorContext {
  at: TomlPath
  digestOnly: boolean
}

function parseMirror(
  file: TomlFile,
  table: Record<string, unknown>,
  { at, digestOnly }: MirrorContext,
): MirrorRule {
  const location = optionalLocation(file, table, [...at, 'location'])
  if (location === undefined) throw file.broken(at, 'has no location')
  const key = [...at, 'pull-from-mirror']
  const use = optionalString(file, table, key) || undefined
  if (use !== undefined && digestOnly) {
    throw file.broken(key, 'does not go together with mirror-by-digest-only of the registry')
  }
  if (use !== undefined && !isUse(use)) {
    throw file.broken(key, 'is not "all", "digest-only" or "tag-only"')
  }
  return {
    location,
    insecure: optionalBoolean(file, table, [...at, 'insecure']) ?? false,
    use: use ?? (digestOnly ? 'digest-only' : 'all'),
    source: file.where(at),
  }
}

function isUse(text: string): text is 'all' | 'digest-only' | 'tag-only' {
  return text === 'all' || text === 'digest-only' || text === 'tag-only'
}

function optionalLocation(
  file: TomlFile,
  table: Record<string, unknown>,
  at: TomlPath,
): string | undefined {
  const text = optionalString(file, table, at)?.replace(/\/+$/, '')
  if (text === undefined || text === '') return undefined
  if (parseLocation(text) !== undefined || (at.at(-1) === 'location' && isPrefix(text))) return text
  throw file.broken(at, 'is not HOST[:PORT][/NAMESPACE…], without a scheme')
}

/** `[registries.insecure]` and `[registries.block]`, each with a list of hosts. */
function parseVersion1(file: TomlFile): HostRule[] {
  const { registries } = file.root
  if (!isTable(registries)) return []
  const rules = new Map<string, HostRule>()
  for (const [kind, setting] of [
    ['insecure', { insecure: true }],
    ['block', { blocked: true }],
  ] as const) {
    const section = registries[kind]
    const at = ['registries', kind, 'registries']
    for (const prefix of isTable(section) ? stringsOf(file, section['registries'], at) : []) {
      if (!isPrefix(prefix)) throw file.broken(at, 'holds what is not HOST[:PORT]')
      rules.set(prefix, { ...rules.get(prefix), prefix, ...setting, source: file.where(at) })
    }
  }
  return [...rules.values()]
}

function stringsOf(file: TomlFile, value: unknown, at: TomlPath): string[] {
  if (value === undefined) return []
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value
  throw file.broken(at, 'is not an array of strings')
}
