import { join } from 'node:path'
import { CliError } from './errors.ts'

/** The surroundings as the command line reads them, once; every other package gets them passed in. */
export interface Environment {
  /** Where images, layers and containers live: `CROMWELL_HOME`, by default `~/.cromwell`. */
  cromwellHome: string
  /** The user's home directory. */
  home: string
  /** Docker's `config.json`: in `DOCKER_CONFIG`, by default in `~/.docker`. */
  dockerConfig: string
  /** Podman's `auth.json` files, first match wins: `REGISTRY_AUTH_FILE`, then the usual places. */
  authFiles: string[]
  /** All variables, for `-e NAME`, and for the proxies. */
  variables: Readonly<Record<string, string | undefined>>
  /** The current directory; throws ERR_CLI_WORKING_DIRECTORY when it was removed. */
  currentDirectory(): string
  /** `CROMWELL_DEBUG` is set: print stack traces. */
  debug: boolean
}

/** Read the surroundings from a process's variables; `homedir` is asked only when HOME is unset. */
export function readEnvironment(
  variables: Readonly<Record<string, string | undefined>>,
  system: { homedir(): string; cwd(): string },
): Environment {
  const home = nonEmpty(variables['HOME']) ?? system.homedir()
  const currentDirectory = () => directoryOf(system.cwd)
  const configured = nonEmpty(variables['CROMWELL_HOME'])
  return {
    cromwellHome:
      configured === undefined ? join(home, '.cromwell') : absolute(configured, currentDirectory),
    home,
    dockerConfig: join(
      nonEmpty(variables['DOCKER_CONFIG']) ?? join(home, '.docker'),
      'config.json',
    ),
    authFiles: authFiles(variables, home),
    variables,
    currentDirectory,
    debug: nonEmpty(variables['CROMWELL_DEBUG']) !== undefined,
  }
}

/** The order of containers-auth.json(5). */
function authFiles(variables: Environment['variables'], home: string): string[] {
  const explicit = nonEmpty(variables['REGISTRY_AUTH_FILE'])
  if (explicit !== undefined) return [explicit]
  const runtimeDirectory = nonEmpty(variables['XDG_RUNTIME_DIR'])
  const configDirectory = nonEmpty(variables['XDG_CONFIG_HOME']) ?? join(home, '.config')
  return [
    ...(runtimeDirectory === undefined ? [] : [join(runtimeDirectory, 'containers', 'auth.json')]),
    join(configDirectory, 'containers', 'auth.json'),
  ]
}

function directoryOf(cwd: () => string): string {
  try {
    return cwd()
  } catch (cause) {
    throw new CliError('ERR_CLI_WORKING_DIRECTORY', 'the current directory no longer exists', {
      hint: 'change to a directory that exists, or use absolute paths',
      cause,
    })
  }
}

function absolute(path: string, currentDirectory: () => string): string {
  return path.startsWith('/') ? path : join(currentDirectory(), path)
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === '' ? undefined : value
}
