import { readFile } from 'node:fs/promises'
import { RegistryError } from '../errors.ts'
import { isMissing } from '../layout/layout-error.ts'
import { indexLines, lineOf } from './toml-lines.ts'

/** A way to a value: `['registry', 0, 'location']`. */
export type TomlPath = ReadonlyArray<string | number>

/** A TOML document that knows where it comes from. */
export interface TomlFile {
  path: string
  root: Record<string, unknown>
  /** `PATH, line 12`, for people. */
  where(path: TomlPath): string
  /** What to throw if a value is not as it should be: `location is not a string`. */
  broken(path: TomlPath, why: string): RegistryError
}

const HINT =
  'repair the file; containers-registries.conf(5) and containerd’s hosts.md say what it may hold'

/** Read a file; undefined if there is none. Throws `ERR_REGISTRY_HOSTS`. */
export async function readTomlFile(path: string): Promise<TomlFile | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (isMissing(error)) return undefined
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
    throw brokenFile(path, `it cannot be read (${why})`)
  }
  return parseToml(text, path)
}

/** Parse a document. The parser is loaded with the first one. */
export async function parseToml(text: string, path: string): Promise<TomlFile> {
  const { parse, TomlError } = await import('smol-toml')
  let root: Record<string, unknown>
  try {
    root = parse(text.replace(/^\uFEFF/, ''), { maxDepth: 32 })
  } catch (error) {
    if (!(error instanceof TomlError)) throw brokenFile(path, 'it is not TOML')
    const [reason = ''] = error.message.split('\n')
    throw brokenFile(
      `${path}, line ${error.line}`,
      reason.replace(/^Invalid TOML document: /, ''),
      path,
    )
  }
  const lines = indexLines(text)
  const where = (at: TomlPath) => {
    const line = lineOf(lines, at)
    return line === undefined ? path : `${path}, line ${line}`
  }
  const broken = (at: TomlPath, why: string) =>
    brokenFile(where(at), `${formatKey(at)} ${why}`, path)
  return { path, root, where, broken }
}

/** Throws unless the value is a string, if it is there at all. */
export function optionalString(
  file: TomlFile,
  table: Record<string, unknown>,
  at: TomlPath,
): string | undefined {
  const value = table[String(at.at(-1))]
  if (value === undefined || typeof value === 'string') return value
  throw file.broken(at, 'is not a string')
}

/** Throws unless the value is true or false, if it is there at all. */
export function optionalBoolean(
  file: TomlFile,
  table: Record<string, unknown>,
  at: TomlPath,
): boolean | undefined {
  const value = table[String(at.at(-1))]
  if (value === undefined || typeof value === 'boolean') return value
  throw file.broken(at, 'is neither true nor false')
}

/** An array of tables, such as `[[registry]]`. Throws unless it is one; none is an empty one. */
export function tablesOf(
  file: TomlFile,
  table: Record<string, unknown>,
  at: TomlPath,
): Array<Record<string, unknown>> {
  const value = table[String(at.at(-1))] ?? []
  if (Array.isArray(value) && value.every(isTable)) return value
  throw file.broken(at, 'is not an array of tables')
}

/** Whether a value is a table. */
export function isTable(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
  )
}

/** `registry[0].location`. */
function formatKey(path: TomlPath): string {
  return path
    .map((part, index) => {
      if (typeof part === 'number') return `[${part}]`
      const name = /^[\w-]+$/.test(part) ? part : JSON.stringify(part)
      return index === 0 ? name : `.${name}`
    })
    .join('')
}

function brokenFile(where: string, why: string, path = where): RegistryError {
  return new RegistryError('ERR_REGISTRY_HOSTS', `cannot use ${where}: ${why}`, {
    path,
    hint: HINT,
  })
}
