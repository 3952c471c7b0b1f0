import { basename } from 'node:path'
import { createRegistryClient, type RegistryClientOptions } from '../client/registry-client.ts'
import { isRegistryError, RegistryError } from '../errors.ts'
import type { HelperOptions } from './credential-helper.ts'
import { removeCredentials, type StoredPlace, storeCredentials } from './credential-store.ts'
import type { CredentialProvider, Credentials } from './credentials.ts'
import { type AuthFileFormat, parseServer } from './registry-key.ts'

/** Options of {@link logout}, and those of {@link login} that say where credentials are kept. */
export interface LogoutOptions {
  /** `docker.io`, `host:port`, an old address such as `https://host/v2/`, or for podman `host/namespace`. */
  registry: string
  /** The credentials file; made if it is not there. */
  file: string
  /** Whose habits to follow. Default: docker's for a file named config.json, else podman's. */
  format?: AuthFileFormat
  /** For the helper, if the file names one. */
  helperEnv?: Readonly<Record<string, string | undefined>>
  /** Default 60 000. */
  helperTimeoutMs?: number
  signal?: AbortSignal | undefined
}

/** Options of {@link login}. */
export interface LoginOptions extends LogoutOptions {
  credentials: Credentials
  /** How to reach the registry. */
  client?: Omit<RegistryClientOptions, 'credentials'>
}

/** What {@link login} did. */
export interface LoginResult {
  /** As in references. */
  registry: string
  file: string
  /** Who keeps the secret: `docker-credential-` and this; undefined if the file itself does, unencrypted. */
  helper?: string
  /** What is kept: an identity token if the registry gave one for the password. */
  stored: Credentials['type']
  /** False if the registry let everybody in, so that the credentials may be wrong. */
  verified: boolean
}

/** What {@link logout} did. */
export interface LogoutResult {
  registry: string
  file: string
  helper?: string
  /** Whether there was anything to remove. */
  removed: boolean
}

/**
 * Have the registry check the credentials, and keep them where docker and podman find them.
 *
 * Where the token service gives an identity token for the password, that is kept and the password is not, as
 * `docker login` does. What else is in the file stays. Nothing is written when the registry says no.
 * Throws `ERR_REGISTRY_UNAUTHORIZED`, `ERR_REGISTRY_CREDENTIALS`, `ERR_REGISTRY_LOCKED`,
 * `ERR_REGISTRY_BAD_REFERENCE`, `ERR_REGISTRY_ABORTED` and what asking the registry throws.
 */
export async function login(options: LoginOptions): Promise<LoginResult> {
  const { registry, key } = parseServer(options.registry)
  const { credentials, verified } = await verify(registry, options)
  const { helper } = await storeCredentials({ ...placeOf(options, key), credentials })
  return {
    registry,
    file: options.file,
    ...(helper === undefined ? {} : { helper }),
    stored: credentials.type,
    verified,
  }
}

/**
 * Forget a registry's credentials, in the file and with the helper it names; those for its namespaces stay.
 *
 * Throws `ERR_REGISTRY_CREDENTIALS`, `ERR_REGISTRY_LOCKED`, `ERR_REGISTRY_BAD_REFERENCE`, `ERR_REGISTRY_ABORTED`.
 */
export async function logout(options: LogoutOptions): Promise<LogoutResult> {
  const { registry, key } = parseServer(options.registry)
  return { registry, file: options.file, ...(await removeCredentials(placeOf(options, key))) }
}

async function verify(
  registry: string,
  { credentials, client: clientOptions, signal }: LoginOptions,
): Promise<{ credentials: Credentials; verified: boolean }> {
  let kept = credentials
  let verified = false
  const provider: CredentialProvider = Object.assign(
    async () => {
      verified = true
      return kept
    },
    {
      offline: true,
      renewed: async (_: unknown, found: Credentials) => {
        kept = found
      },
    },
  )
  const client = createRegistryClient({ ...clientOptions, credentials: provider })
  try {
    await client.ping(registry, { signal })
  } catch (error) {
    throw isRegistryError(error, 'ERR_REGISTRY_UNAUTHORIZED')
      ? refused(registry, credentials, error)
      : error
  } finally {
    await client.close()
  }
  return { credentials: kept, verified }
}

function placeOf(options: LogoutOptions, key: string): StoredPlace {
  const { file, helperEnv, helperTimeoutMs, signal } = options
  const helper: HelperOptions = {
    ...(helperEnv === undefined ? {} : { env: helperEnv }),
    ...(helperTimeoutMs === undefined ? {} : { timeoutMs: helperTimeoutMs }),
  }
  const format = options.format ?? (basename(file) === 'config.json' ? 'docker' : 'podman')
  return { file, format, key, helper, signal }
}

function refused(registry: string, { type }: Credentials, cause: RegistryError): RegistryError {
  const { host, method, url, status, errors } = cause
  const what = type === 'password' ? 'the user name and password' : 'the token'
  const [said] = errors ?? []
  const words = said?.message || said?.code
  return new RegistryError(
    'ERR_REGISTRY_UNAUTHORIZED',
    `cannot log in to ${registry}: it refuses ${what}${words ? ` (${words})` : ''}`,
    {
      hint: 'check them; with two-factor login, registries want an access token in place of the password',
      host,
      method,
      url,
      status,
      errors,
      cause,
    },
  )
}
