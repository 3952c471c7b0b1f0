import type { CredentialFiles, RegistryClientOptions } from '@cromwell/registry'
import type { EngineContext } from './context.ts'

/** How this user's registries are reached, and where their credentials are. */
export interface RegistryOptions {
  files: CredentialFiles
  /** The environment of credential helpers. */
  helperEnv: EngineContext['host']['env']
  client: Omit<RegistryClientOptions, 'credentials'>
}

/** Read them off the environment; touches no file. */
export async function registryOptions({ host, onEvent }: EngineContext): Promise<RegistryOptions> {
  const { credentialFiles } = await import('@cromwell/registry')
  return {
    files: credentialFiles({ env: host.env, uid: host.uid }),
    helperEnv: host.env,
    client: {
      proxy: proxySettings(host.env),
      onEvent: (event) => {
        if (event.type === 'warning') {
          onEvent({ type: 'warning', code: 'registry', message: event.message })
        }
      },
    },
  }
}

function proxySettings(env: Readonly<Record<string, string | undefined>>): {
  http?: string
  https?: string
  no?: string
} {
  const either = (name: string) => env[name] ?? env[name.toUpperCase()]
  const http = either('http_proxy')
  const https = either('https_proxy')
  const no = either('no_proxy')
  return {
    ...(http === undefined ? {} : { http }),
    ...(https === undefined ? {} : { https }),
    ...(no === undefined ? {} : { no }),
  }
}
