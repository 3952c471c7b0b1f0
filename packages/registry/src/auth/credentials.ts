import { repositoryName } from '../image/reference.ts'
import { type AuthEntry, type AuthFile, readAuthFile } from './auth-file.ts'
import { runCredentialHelper } from './credential-helper.ts'

/** What identifies the caller to a registry. */
export type Credentials =
  /** A user's name and password (or personal access token). */
  | { type: 'password'; username: string; password: string }
  /** A long-lived token that the token service exchanges for short-lived ones. */
  | { type: 'identity-token'; token: string }

/** What credentials are wanted for. */
export interface CredentialQuery {
  /** As in a reference: `docker.io`, `localhost:5000`. */
  registry: string
  repository?: string
  signal?: AbortSignal | undefined
}

/** Where credentials come from; undefined means to ask without any. */
export type CredentialProvider = (query: CredentialQuery) => Promise<Credentials | undefined>

/** Runs `docker-credential-NAME get` with the server on stdin; see {@link runCredentialHelper}. */
export type CredentialHelperRunner = (
  helper: string,
  server: string,
  signal?: AbortSignal,
) => Promise<Credentials | undefined>

/** Options of {@link fileCredentials}; files that do not exist are passed over. */
export interface FileCredentialsOptions {
  /** Podman's files, such as `$REGISTRY_AUTH_FILE` or `$XDG_RUNTIME_DIR/containers/auth.json`; asked first, in order. */
  authFiles?: string[]
  /** Docker's, usually `~/.docker/config.json`; asked last. */
  dockerConfig?: string
  /** Default: {@link runCredentialHelper}. */
  runHelper?: CredentialHelperRunner
}

const DOCKER_HUB_SERVER = 'https://index.docker.io/v1/'

/**
 * Credentials from the files that `podman login` and `docker login` write.
 *
 * In each file the most specific key wins: `host/namespace/repository`, `host/namespace`, `host`; then
 * the helper of the host, then the store of all hosts. A helper runs once for each server.
 * The provider throws `ERR_REGISTRY_CREDENTIALS`. Sources: containers-auth.json(5), docker login.
 */
export function fileCredentials(options: FileCredentialsOptions = {}): CredentialProvider {
  const { authFiles = [], dockerConfig, runHelper = runCredentialHelper } = options
  const paths = dockerConfig === undefined ? authFiles : [...authFiles, dockerConfig]
  const askHelper = memoize(runHelper)
  return async (query) => {
    for (const path of paths) {
      const file = await readAuthFile(path)
      const found = file && (await lookUp(file, query, askHelper))
      if (found !== undefined) return found
    }
    return undefined
  }
}

/** The same credentials for one registry, and none for others. */
export function staticCredentials(
  registry: string,
  username: string,
  password: string,
): CredentialProvider {
  return async (query) =>
    query.registry === registry ? { type: 'password', username, password } : undefined
}

async function lookUp(
  file: AuthFile,
  query: CredentialQuery,
  askHelper: CredentialHelperRunner,
): Promise<Credentials | undefined> {
  const server = query.registry === 'docker.io' ? DOCKER_HUB_SERVER : query.registry
  const helper = file.helpers.get(query.registry) ?? file.helpers.get(server)
  const entry = findEntry(file.entries, query)
  if (helper !== undefined) return (await askHelper(helper, server, query.signal)) ?? entry
  if (file.store === undefined) return entry
  return (await askHelper(file.store, server, query.signal)) ?? entry
}

function findEntry(entries: Map<string, AuthEntry>, query: CredentialQuery): AuthEntry | undefined {
  for (const key of keysFor(query)) {
    const found = entries.get(key)
    if (found !== undefined) return found
  }
  return undefined
}

/** From the most specific key to the host's own. */
function keysFor({ registry, repository }: CredentialQuery): string[] {
  const keys: string[] = []
  const full = repository === undefined ? registry : repositoryName({ registry, repository })
  for (let key = full; key !== ''; key = key.slice(0, Math.max(key.lastIndexOf('/'), 0))) {
    keys.push(key)
  }
  return registry === 'docker.io' ? [...keys, 'index.docker.io', 'registry-1.docker.io'] : keys
}

/** Helpers may ask the user or lock a database, so that parallel calls share one run. */
function memoize(run: CredentialHelperRunner): CredentialHelperRunner {
  const running = new Map<string, Promise<Credentials | undefined>>()
  return (helper, server, signal) => {
    const key = `${helper} ${server}`
    const result = running.get(key) ?? run(helper, server, signal)
    running.set(key, result)
    result.catch(() => running.delete(key))
    return result
  }
}
