import { join } from 'node:path'
import type {
  CredentialFiles,
  HostResolverOptions,
  RegistryClientOptions,
} from '@cromwell/registry'
import type { EngineContext } from './context.ts'

/** How this user's registries are reached, and where their credentials are. */
export interface RegistryOptions {
  files: CredentialFiles
  /** The environment of credential helpers. */
  helperEnv: Environment
  client: Omit<RegistryClientOptions, 'credentials'>
}

/** Read them off the environment; touches no file. */
export async function registryOptions({
  host,
  onEvent,
}: Pick<EngineContext, 'host' | 'onEvent'>): Promise<RegistryOptions> {
  const { credentialFiles, proxyFromEnvironment } = await import('@cromwell/registry')
  return {
    files: credentialFiles({ env: host.env, uid: host.uid }),
    helperEnv: host.env,
    client: {
      ...hostFiles(host.env),
      proxy: proxyFromEnvironment(host.env),
      // As docker has it: a company's registry keeps tokens and blobs on other machines of its network.
      network: { allowPrivate: true },
      onEvent: (event) => {
        if (event.type === 'warning') {
          onEvent({ type: 'warning', code: 'registry', message: event.message })
        }
      },
    },
  }
}

/**
 * Where podman and docker say how registries are reached: mirrors, insecure hosts, certificates.
 * Sources: containers-registries.conf(5), containers-registries.conf.d(5), containers-certs.d(5).
 */
function hostFiles(env: Environment): Required<Pick<HostResolverOptions, FilesOfHosts>> {
  const config = env['XDG_CONFIG_HOME'] || (env['HOME'] ? join(env['HOME'], '.config') : undefined)
  const own = (name: string) => (config === undefined ? [] : [join(config, 'containers', name)])
  const explicit = env['CONTAINERS_REGISTRIES_CONF']
  return {
    registriesConf: {
      files: explicit ? [explicit] : [...own('registries.conf'), '/etc/containers/registries.conf'],
      directories: explicit
        ? []
        : ['/etc/containers/registries.conf.d', ...own('registries.conf.d')],
    },
    certsDirs: [...own('certs.d'), '/etc/containers/certs.d', '/etc/docker/certs.d'],
  }
}

type FilesOfHosts = 'registriesConf' | 'certsDirs'
type Environment = EngineContext['host']['env']
