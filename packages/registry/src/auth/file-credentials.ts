import { throwIfAborted } from '../abort.ts'
import { isRegistryError } from '../errors.ts'
import { type AuthFile, findEntry, findHelper, parseAuthFile, readAuthFile } from './auth-file.ts'
import {
  type CredentialHelperRunner,
  helperProgram,
  runCredentialHelper,
} from './credential-helper.ts'
import { storeCredentials } from './credential-store.ts'
import type { CredentialProvider, CredentialQuery, Credentials } from './credentials.ts'
import { isSameCredentials } from './credentials.ts'
import type { CredentialExplanation, CredentialSource } from './explanation.ts'
import { createHelperPool, type HelperPool } from './helper-pool.ts'
import { type AuthFileFormat, normalizeKey, serversFor } from './registry-key.ts'

/** Options of {@link fileCredentials}; files that do not exist are passed over. */
export interface FileCredentialsOptions {
  /** Contents of files that never were files, such as `$DOCKER_AUTH_CONFIG`; asked before all files. */
  documents?: { name: string; text: string }[]
  /** Podman's files, such as `$REGISTRY_AUTH_FILE` or `$XDG_RUNTIME_DIR/containers/auth.json`; asked first, in order. */
  authFiles?: string[]
  /** Docker's, usually `~/.docker/config.json`; asked last. */
  dockerConfig?: string
  /** Helpers that are asked for every registry when no file has credentials, in order. */
  helpers?: string[]
  /** Default: {@link runCredentialHelper}. */
  runHelper?: CredentialHelperRunner
  /** The environment of helpers, and with its PATH where they are. Default: that of this process. */
  helperEnv?: Readonly<Record<string, string | undefined>>
  /** How long a helper may take. Default 60 000. */
  helperTimeoutMs?: number
  /** Whether a token service's new identity token replaces the old one where that is kept. Default true. */
  saveRenewed?: boolean
}

/** What {@link fileCredentials} makes: a provider that can explain itself. */
export type FileCredentials = CredentialProvider &
  Required<Pick<CredentialProvider, 'explain' | 'headers' | 'renewed'>>

/**
 * Credentials from the files that `podman login` and `docker login` write.
 *
 * In each file the helper of the host comes first, then the store of all hosts, then the most specific key of
 * the file itself: `host/namespace/repository`, `host/namespace`, `host`. A helper runs once for each server,
 * and again when what it said was refused; files are read anew each time.
 * The provider throws `ERR_REGISTRY_CREDENTIALS` and `ERR_REGISTRY_ABORTED`.
 * Sources: containers-auth.json(5), docker login.
 */
export function fileCredentials(options: FileCredentialsOptions = {}): FileCredentials {
  const { helperEnv: env, helperTimeoutMs: timeoutMs, dockerConfig } = options
  const helperOptions = {
    ...(env === undefined ? {} : { env }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  }
  const pool = createHelperPool(options.runHelper ?? runCredentialHelper, helperOptions)

  async function find(query: CredentialQuery): Promise<Found | undefined> {
    for await (const place of places(options, pool, query)) {
      const found = await place.look?.()
      if (found !== undefined) return { place, ...found }
    }
    return undefined
  }

  return Object.assign(async (query: CredentialQuery) => (await find(query))?.credentials, {
    explain: (query: CredentialQuery) => explain(places(options, pool, query), query),
    headers: async () => (dockerConfig === undefined ? {} : registryHeaders(dockerConfig)),
    async renewed(query: CredentialQuery, credentials: Credentials) {
      if (options.saveRenewed === false) return
      const found = await find(query)
      if (found === undefined || found.place.path === undefined) return
      if (!isSameCredentials(found.credentials, query.refused)) return
      await storeCredentials({
        file: found.place.path,
        format: found.place.format,
        key: found.key,
        credentials,
        helper: helperOptions,
      })
    },
  })
}

/** A place where credentials may be, and how to look there. */
interface Place {
  source: Omit<CredentialSource, 'because'>
  /** Why it was looked at, or is of no use. */
  because: string
  path?: string
  format: AuthFileFormat
  look?(): Promise<{ credentials: Credentials; key: string } | undefined>
}

interface Found {
  place: Place
  credentials: Credentials
  key: string
}

async function* places(
  options: FileCredentialsOptions,
  pool: HelperPool,
  query: CredentialQuery,
): AsyncGenerator<Place, void, undefined> {
  const { documents = [], authFiles = [], dockerConfig, helpers = [] } = options
  for (const { name, text } of documents) {
    yield* placesInFile(parseAuthFile(text, name, 'docker'), undefined, pool, query)
  }
  const files: [string, AuthFileFormat][] = authFiles.map((path) => [path, 'podman'])
  if (dockerConfig !== undefined) files.push([dockerConfig, 'docker'])
  for (const [path, format] of files) {
    throwIfAborted(query.signal)
    const file = await readAuthFile(path, format)
    if (file !== undefined) yield* placesInFile(file, path, pool, query)
    else
      yield {
        source: { file: path },
        because: 'there is no such file that this user can reach',
        format,
      }
  }
  for (const helper of helpers) {
    yield helperPlace(
      helper,
      { because: 'it is asked for every registry', format: 'podman', source: {} },
      pool,
      query,
    )
  }
}

function* placesInFile(
  file: AuthFile,
  path: string | undefined,
  pool: HelperPool,
  query: CredentialQuery,
): Generator<Place, void, undefined> {
  const { name, format } = file
  const base = { format, ...(path === undefined ? {} : { path }) }
  const own = findHelper(file, query.registry)
  const helper = own?.value ?? file.store
  if (helper !== undefined) {
    const because = own
      ? 'credHelpers names it for this registry'
      : 'credsStore names it for all registries'
    const source = { file: name, ...(own === undefined ? {} : { key: own.key }) }
    yield helperPlace(helper, { ...base, because, source }, pool, query)
  }
  // An entry that is damaged is only a failure once it is the one to be used.
  let entry: ReturnType<typeof findEntry>
  const look = async () => entry
  try {
    entry = findEntry(file, query)
  } catch (error) {
    yield {
      ...base,
      source: { file: name },
      because: 'its entry is damaged',
      look: () => Promise.reject(error),
    }
    return
  }
  if (entry !== undefined) {
    const because = 'it is the most specific key that has credentials'
    yield { ...base, source: { file: name, key: entry.key }, because, look }
  } else if (helper === undefined) {
    const because = `it has neither credentials nor a helper for ${normalizeKey(query.registry)}`
    yield { ...base, source: { file: name }, because }
  }
}

function helperPlace(
  helper: string,
  place: Omit<Place, 'look'>,
  pool: HelperPool,
  { registry, signal, refused }: CredentialQuery,
): Place {
  return {
    ...place,
    source: { ...place.source, helper: helperProgram(helper) },
    async look() {
      for (const server of serversFor(registry, place.format)) {
        const fresh = refused !== undefined
        const credentials = await pool.ask(helper, server, { signal, fresh })
        if (credentials !== undefined) return { credentials, key: normalizeKey(registry) }
      }
      return undefined
    },
  }
}

async function explain(
  candidates: AsyncIterable<Place>,
  { registry, repository, signal }: CredentialQuery,
): Promise<CredentialExplanation> {
  const explanation: CredentialExplanation = {
    registry,
    ...(repository === undefined ? {} : { repository }),
    considered: [],
  }
  try {
    for await (const { source, because, look } of candidates) {
      const { chosen } = explanation
      const passed = chosen && look ? `${because}, but an earlier source has credentials` : because
      const described: CredentialSource = { ...source, because: passed }
      explanation.considered.push(described)
      if (chosen !== undefined || look === undefined) continue
      const found = await look().catch((error: unknown) => {
        described.because = `${because}, and it fails`
        throw error
      })
      if (found === undefined) described.because = `${because}, but it knows no credentials`
      else explanation.chosen = Object.assign(described, describe(found.credentials))
    }
  } catch (error) {
    throwIfAborted(signal)
    // Later sources are not asked once an earlier one has failed.
    if (explanation.chosen === undefined) {
      explanation.failure = isRegistryError(error) ? error.message : 'an unexpected error'
    }
  }
  return explanation
}

function describe(credentials: Credentials): Pick<CredentialSource, 'type' | 'username'> {
  const username = credentials.type === 'registry-token' ? undefined : credentials.username
  return { type: credentials.type, ...(username ? { username } : {}) }
}

/**
 * Of docker's `HttpHeaders` those that its daemon passes on to registries, `X-Meta-…`; the others are for the
 * daemon itself, and may hold what is no registry's business.
 */
async function registryHeaders(dockerConfig: string): Promise<Record<string, string>> {
  // A file that is damaged is a failure for who needs credentials from it, and for nobody else.
  const file = await readAuthFile(dockerConfig, 'docker').catch(() => undefined)
  const { headers = {} } = file ?? {}
  const usable = Object.entries(headers).filter(
    ([name, value]) => /^x-meta-[\w!#$%&'*+.^`|~-]+$/i.test(name) && /^[\t\x20-\x7e]*$/.test(value),
  )
  return Object.fromEntries(usable.map(([name, value]) => [name.toLowerCase(), value]))
}
