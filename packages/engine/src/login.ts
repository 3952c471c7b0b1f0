import type { CredentialSource, LoginResult } from '@cromwell/registry'
import type { EngineContext } from './context.ts'
import { EngineError } from './errors.ts'
import { type RegistryOptions, registryOptions } from './registry-options.ts'

/** Who logs in. */
export interface LoginOptions {
  username: string
  /** Or an access token in its place. */
  password: string
  signal?: AbortSignal | undefined
}

/** The credentials that are stored for a registry. */
export interface StoredLogin {
  registry: string
  username?: string
}

/** What a logout did. */
export interface LogoutResult {
  registry: string
  /** The files from which credentials were removed; none if there were none. */
  files: string[]
}

/**
 * Have a registry check user and password, and keep them where docker, podman and `pull` find them:
 * in `$REGISTRY_AUTH_FILE`, else docker's config.json.
 * Throws RegistryError; EngineError ERR_ENGINE_OPTION where it is not known which file that is.
 */
export async function logIn(
  context: EngineContext,
  registry: string,
  { username, password, signal }: LoginOptions,
): Promise<LoginResult> {
  const { fileCredentials, login } = await import('@cromwell/registry')
  const { files, client, helperEnv } = await registryOptions(context)
  const file = loginFile(context, files)
  const format = file === files.dockerConfig ? 'docker' : 'podman'
  const credentials = { type: 'password', username, password } as const
  const result = await login({ registry, credentials, file, format, client, helperEnv, signal })
  const query = { registry: result.registry, signal }
  const { chosen } = await fileCredentials({ ...files, helperEnv }).explain(query)
  warnOfOthers(context, result, chosen)
  return result
}

/** Have a registry check what is stored for it; undefined if there is nothing. Throws RegistryError. */
export async function checkLogin(
  context: EngineContext,
  server: string,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<StoredLogin | undefined> {
  const { createRegistryClient, fileCredentials, parseServer } = await import('@cromwell/registry')
  const { files, client: options, helperEnv } = await registryOptions(context)
  const { registry } = parseServer(server)
  const credentials = fileCredentials({ ...files, helperEnv })
  if ((await credentials({ registry, signal })) === undefined) return undefined
  const client = createRegistryClient({ ...options, credentials })
  try {
    await client.ping(registry, { signal })
  } finally {
    await client.close()
  }
  const { chosen } = await credentials.explain({ registry, signal })
  return { registry, ...(chosen?.username === undefined ? {} : { username: chosen.username }) }
}

/** Forget a registry's credentials in every file in which `pull` looks for them. Throws RegistryError. */
export async function logOut(
  context: EngineContext,
  server: string,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<LogoutResult> {
  const { logout, parseServer } = await import('@cromwell/registry')
  const { files, helperEnv } = await registryOptions(context)
  const { registry } = parseServer(server)
  const { authFiles, dockerConfig } = files
  const changed: string[] = []
  for (const file of dockerConfig === undefined ? authFiles : [...authFiles, dockerConfig]) {
    const format = file === dockerConfig ? 'docker' : 'podman'
    const { removed } = await logout({ registry: server, file, format, helperEnv, signal })
    if (removed) changed.push(file)
  }
  return { registry, files: changed }
}

function loginFile({ host }: EngineContext, { dockerConfig }: RegistryOptions['files']): string {
  const file = host.env['REGISTRY_AUTH_FILE'] || dockerConfig
  if (file !== undefined) return file
  throw new EngineError('ERR_ENGINE_OPTION', 'cannot tell in which file to keep credentials', {
    hint: 'set HOME, DOCKER_CONFIG or REGISTRY_AUTH_FILE',
  })
}

function warnOfOthers(
  { onEvent }: EngineContext,
  { registry, file }: LoginResult,
  chosen: CredentialSource | undefined,
): void {
  if (chosen?.file === undefined || chosen.file === file) return
  onEvent({
    type: 'warning',
    code: 'credentials',
    message: `${chosen.file} has other credentials for ${registry}, and they come first`,
    hint: `remove them (cromwell logout ${registry}), then log in again`,
  })
}
