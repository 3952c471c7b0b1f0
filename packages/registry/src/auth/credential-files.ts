import { join } from 'node:path'
import type { FileCredentialsOptions } from './file-credentials.ts'

/** What {@link credentialFiles} goes by. */
export interface CredentialSurroundings {
  env: Readonly<Record<string, string | undefined>>
  /** The home directory. Default: HOME. */
  home?: string
  /** The user id, for podman's file where there is no XDG_RUNTIME_DIR. */
  uid?: number
}

/** Where docker and podman keep credentials, as {@link fileCredentials} takes it. */
export type CredentialFiles = Required<Pick<FileCredentialsOptions, 'documents' | 'authFiles'>> &
  Pick<FileCredentialsOptions, 'dockerConfig'>

/**
 * The files that docker and podman would look at in these surroundings; touches none of them.
 *
 * `REGISTRY_AUTH_FILE` replaces podman's files, `DOCKER_CONFIG` is the directory of docker's, and
 * `DOCKER_AUTH_CONFIG` is the content of a file. A variable that is empty counts as unset.
 * Sources: containers-auth.json(5), docker's documentation of its environment variables.
 */
export function credentialFiles({ env, home, uid }: CredentialSurroundings): CredentialFiles {
  const variable = (name: string) => env[name] || undefined
  const atHome = (name: string) => {
    const directory = home ?? variable('HOME')
    return directory === undefined ? undefined : join(directory, name)
  }
  const docker = variable('DOCKER_CONFIG') ?? atHome('.docker')
  const inline = variable('DOCKER_AUTH_CONFIG')
  const explicit = variable('REGISTRY_AUTH_FILE')
  const runtime = variable('XDG_RUNTIME_DIR')
  const config = variable('XDG_CONFIG_HOME') ?? atHome('.config')
  const podman = [
    runtime === undefined
      ? uid !== undefined && `/run/containers/${uid}`
      : join(runtime, 'containers'),
    config !== undefined && join(config, 'containers'),
  ]
    .filter((directory) => typeof directory === 'string')
    .map((directory) => join(directory, 'auth.json'))
  return {
    documents: inline === undefined ? [] : [{ name: 'DOCKER_AUTH_CONFIG', text: inline }],
    authFiles: explicit === undefined ? podman : [explicit],
    ...(docker === undefined ? {} : { dockerConfig: join(docker, 'config.json') }),
  }
}
