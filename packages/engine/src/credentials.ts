import { join } from 'node:path'
import type { HostFacts } from './host-facts.ts'

/** Where docker and podman keep credentials. */
export interface CredentialFiles {
  dockerConfig?: string
  /** podman's, first match first. */
  authFiles: string[]
}

/** The files that docker and podman would look at with this environment (auth.json(5)). */
export function credentialFiles(env: HostFacts['env']): CredentialFiles {
  const { HOME: home, DOCKER_CONFIG: docker, REGISTRY_AUTH_FILE: explicit } = env
  const config = env['XDG_CONFIG_HOME'] ?? (home === undefined ? undefined : join(home, '.config'))
  const runtime = env['XDG_RUNTIME_DIR']
  const dockerDir = docker ?? (home === undefined ? undefined : join(home, '.docker'))
  const authFiles = [runtime, config]
    .filter((directory) => directory !== undefined)
    .map((directory) => join(directory, 'containers', 'auth.json'))
  return {
    ...(dockerDir === undefined ? {} : { dockerConfig: join(dockerDir, 'config.json') }),
    authFiles: explicit === undefined ? authFiles : [explicit],
  }
}
