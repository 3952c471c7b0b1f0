import { resolve } from 'node:path'

/** The surroundings as the command line reads them, once; every other package gets them passed in. */
export interface Environment {
  /** Where images, layers and containers live: `CROMWELL_HOME`, by default `~/.cromwell`. */
  cromwellHome: string
  /** All variables: for `-e NAME`, proxies, and where credentials are. */
  variables: Readonly<Record<string, string | undefined>>
  /** What relative paths on the command line are relative to. */
  currentDirectory: string
  /** `CROMWELL_DEBUG` is set: print stack traces. */
  debug: boolean
  /** `NO_COLOR` is unset and the terminal is not a dumb one: colours may be used on a terminal. */
  color: boolean
  /** The caller is root. */
  isRoot: boolean
  /** The words that start this program again. */
  self: readonly string[]
}

/** Read the surroundings from a process's variables; `homedir` is asked only when HOME is unset. */
export function readEnvironment(
  variables: Readonly<Record<string, string | undefined>>,
  system: { homedir(): string; cwd(): string; uid?: number | undefined; self?: readonly string[] },
): Environment {
  const currentDirectory = directoryOf(system)
  const home = variables['HOME'] || system.homedir()
  return {
    cromwellHome: resolve(currentDirectory, variables['CROMWELL_HOME'] || `${home}/.cromwell`),
    variables,
    currentDirectory,
    debug: isSet(variables['CROMWELL_DEBUG']),
    color: !isSet(variables['NO_COLOR']) && variables['TERM'] !== 'dumb',
    isRoot: system.uid === 0,
    self: system.self ?? ['cromwell'],
  }
}

/** A current directory that was removed has no path any more but this one, under which nothing is found. */
function directoryOf(system: { cwd(): string }): string {
  try {
    return system.cwd()
  } catch {
    return '/proc/self/cwd'
  }
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== ''
}
