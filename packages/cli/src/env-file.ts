import { readFileSync } from 'node:fs'
import { CliError, usageError } from './errors.ts'

type Variables = Readonly<Record<string, string | undefined>>

/**
 * The variables of `--env-file`s and `-e`s, later ones last, as `NAME=VALUE`. A bare `NAME` takes the
 * host's value, and is left out where the host has none. Throws ERR_CLI_USAGE and ERR_CLI_ENV_FILE.
 */
export function environmentFlags(
  flags: { files: readonly string[]; entries: readonly string[] },
  host: Variables,
): string[] {
  const fromFiles = flags.files.flatMap((path) => readEnvFile(path, host))
  return [...fromFiles, ...flags.entries.flatMap((entry) => envFlag(entry, host))]
}

function envFlag(entry: string, host: Variables): string[] {
  if (entry === '' || entry.startsWith('='))
    throw usageError(`invalid variable for --env: '${entry}'`)
  return resolve(entry, host)
}

function readEnvFile(path: string, host: Variables): string[] {
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? cause.code : cause
    throw new CliError('ERR_CLI_ENV_FILE', `cannot read env file ${path}: ${why}`, { cause })
  }
  return parseEnvFile(bytes, path, host)
}

/**
 * Docker's env file: UTF-8, one `NAME=VALUE` a line taken literally (no quotes, no interpolation,
 * blanks at the end kept), `#` starts a comment line, blanks before a name are dropped, a bare `NAME`
 * takes the host's value. Throws ERR_CLI_ENV_FILE with the line's number.
 */
export function parseEnvFile(bytes: Uint8Array, path: string, host: Variables): string[] {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new CliError('ERR_CLI_ENV_FILE', `cannot read env file ${path}: not UTF-8`, { cause })
  }
  return text.split(/\r?\n/).flatMap((line, index) => {
    const entry = line.trimStart()
    if (entry === '' || entry.startsWith('#')) return []
    const name = entry.split('=', 1)[0] ?? ''
    if (name === '' || /\s|\0/.test(name)) {
      const what = name === '' ? 'no variable name' : `variable name '${name}' contains a blank`
      throw new CliError('ERR_CLI_ENV_FILE', `invalid env file ${path}, line ${index + 1}: ${what}`)
    }
    return resolve(entry, host)
  })
}

function resolve(entry: string, host: Variables): string[] {
  if (entry.includes('=')) return [entry]
  const value = host[entry]
  return value === undefined ? [] : [`${entry}=${value}`]
}
