import { EngineError } from './errors.ts'

/** The part of an image's configuration that says how to run it. */
export interface ImageProcess {
  Env?: string[]
  Entrypoint?: string[] | null
  Cmd?: string[] | null
}

/** What the caller says about the program. */
export interface CommandOptions {
  /** Replaces the image's Cmd. */
  command?: readonly string[] | undefined
  /** Replaces the image's Entrypoint, and its Cmd too; empty or `['']` clears both. */
  entrypoint?: readonly string[] | undefined
}

/**
 * The command line: entrypoint, then command. Throws EngineError ERR_ENGINE_NO_COMMAND when there
 * is nothing to run.
 */
export function commandLine(image: ImageProcess, options: CommandOptions): string[] {
  const overridden = options.entrypoint !== undefined
  const entrypoint = options.entrypoint ?? image.Entrypoint ?? []
  const given = options.command ?? []
  const command = given.length > 0 || overridden ? given : (image.Cmd ?? [])
  const args = [...(isCleared(entrypoint) ? [] : entrypoint), ...command]
  if (args.length > 0 && args[0] !== '') return args
  throw new EngineError('ERR_ENGINE_NO_COMMAND', 'there is no command to run', {
    hint: overridden
      ? 'give a command after the image: --entrypoint also drops the one of the image'
      : 'give a command at the end: an image may have none of its own, a directory never has',
  })
}

function isCleared(entrypoint: readonly string[]): boolean {
  return entrypoint.length === 1 && entrypoint[0] === ''
}

/** Where the variables of a container come from; see {@link environment}. */
export interface EnvironmentSources {
  /** The image's. */
  image: readonly string[]
  /** Of environment files, then of `-e`: `NAME=value`, or `NAME` to copy it from `host`. */
  options: readonly string[]
  host: Readonly<Record<string, string | undefined>>
  hostname: string
  terminal: boolean
  /** Home directory of the user inside. */
  homeDirectory: string
}

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/**
 * The environment of the contained process. Later wins: our own defaults (PATH, `container`, TERM
 * with a terminal, HOSTNAME), the image, the options; HOME comes from the user unless set by those.
 * A bare name that is not set on the host is taken out.
 */
export function environment(sources: EnvironmentSources): string[] {
  const variables = new Map<string, string>()
  variables.set('PATH', DEFAULT_PATH)
  variables.set('container', 'cromwell')
  if (sources.terminal) variables.set('TERM', 'xterm')
  variables.set('HOSTNAME', sources.hostname)
  for (const entry of [...sources.image, ...sources.options]) {
    const separator = entry.indexOf('=')
    const name = separator < 0 ? entry : entry.slice(0, separator)
    const value = separator < 0 ? sources.host[name] : entry.slice(separator + 1)
    assertVariable(name, value)
    if (value === undefined) variables.delete(name)
    else variables.set(name, value)
  }
  if (!variables.has('HOME')) variables.set('HOME', sources.homeDirectory)
  return Array.from(variables, ([name, value]) => `${name}=${value}`)
}

function assertVariable(name: string, value: string | undefined): void {
  if (name !== '' && !name.includes('\0') && value?.includes('\0') !== true) return
  throw new EngineError(
    'ERR_ENGINE_OPTION',
    `cannot set the environment variable ${JSON.stringify(name)}`,
    { hint: 'write NAME=value, without NUL bytes' },
  )
}
