import { type ChildProcess, spawn } from 'node:child_process'
import { abortedError } from '../abort.ts'
import { RegistryError } from '../errors.ts'
import { isObject } from '../image/json-document.ts'
import type { Credentials } from './credentials.ts'

/** How to run a credential helper. */
export interface HelperOptions {
  signal?: AbortSignal | undefined
  /** Default 60 000: a helper may have to ask its user. */
  timeoutMs?: number
  /** The helper's whole environment; its PATH is where the helper is looked for. Default: that of this process. */
  env?: Readonly<Record<string, string | undefined>>
}

/** Runs `docker-credential-NAME get` with the server on stdin; see {@link runCredentialHelper}. */
export type CredentialHelperRunner = (
  helper: string,
  server: string,
  options?: HelperOptions,
) => Promise<Credentials | undefined>

const TIMEOUT_MS = 60_000
const MAX_OUTPUT = 1024 * 1024
/** By this user name a helper says that the secret is an identity token. */
const TOKEN_USER = '<token>'
/** What helpers print, and end with a status other than 0, when there is nothing to give or to erase. */
const NOT_FOUND = /credentials not found/i

/** What a program is called whose suffix a file names. */
export function helperProgram(helper: string): string {
  return `docker-credential-${helper}`
}

/**
 * Ask `docker-credential-NAME get` for the credentials of a server.
 *
 * Undefined if the helper knows none. Throws `ERR_REGISTRY_CREDENTIALS` if the helper is missing, fails or
 * takes longer than a minute; what it wrote is never quoted. Source: docker-credential-helpers, README.
 */
export async function runCredentialHelper(
  helper: string,
  server: string,
  options: HelperOptions = {},
): Promise<Credentials | undefined> {
  const output = await run({ helper, action: 'get', input: server }, options)
  return output === undefined ? undefined : parseAnswer(helper, output)
}

/** Give credentials to `docker-credential-NAME store`. Throws like {@link runCredentialHelper}. */
export async function storeInHelper(
  helper: string,
  server: string,
  credentials: Credentials,
  options: HelperOptions = {},
): Promise<void> {
  if (credentials.type === 'registry-token') {
    throw failed(helper, 'it cannot keep a registry token')
  }
  const [username, secret] =
    credentials.type === 'password'
      ? [credentials.username, credentials.password]
      : [TOKEN_USER, credentials.token]
  const input = JSON.stringify({ ServerURL: server, Username: username, Secret: secret })
  await run({ helper, action: 'store', input }, options)
}

/** Have `docker-credential-NAME erase` forget a server, known to it or not. Throws like {@link runCredentialHelper}. */
export async function eraseFromHelper(
  helper: string,
  server: string,
  options: HelperOptions = {},
): Promise<void> {
  await run({ helper, action: 'erase', input: server }, options)
}

function parseAnswer(helper: string, output: string): Credentials | undefined {
  let answer: unknown
  try {
    answer = JSON.parse(output)
  } catch {
    throw failed(helper, 'its answer is not JSON')
  }
  const { Username: username, Secret: secret } = isObject(answer) ? answer : {}
  if (typeof username !== 'string' || typeof secret !== 'string') {
    throw failed(helper, 'its answer has no user name and secret')
  }
  if (secret === '') return undefined
  if (username === TOKEN_USER) return { type: 'identity-token', token: secret }
  return { type: 'password', username, password: secret }
}

interface HelperCall {
  helper: string
  action: 'get' | 'store' | 'erase'
  input: string
}

/** What the helper printed; undefined if it has no credentials for the server. */
async function run(call: HelperCall, options: HelperOptions): Promise<string | undefined> {
  const { helper, action, input } = call
  if (!/^[\w.-]+$/.test(helper)) throw failed(helper, 'its name is not a plain file name')
  if (options.signal?.aborted) throw abortedError(options.signal)
  const child = spawn(helperProgram(helper), [action], {
    stdio: ['pipe', 'pipe', 'ignore'],
    ...(options.env === undefined ? {} : { env: { ...options.env } }),
  })
  child.stdin.on('error', () => {}) // it may end without reading
  child.stdin.end(input)
  const { status, output } = await ended(child, helper, options)
  if (status === 0) return output
  if (action !== 'store' && NOT_FOUND.test(output)) return undefined
  throw failed(helper, `it ended with status ${status}`, `${action} of ${helperProgram(helper)}`)
}

/** Wait for a helper, and for no longer than allowed: one that hangs is killed. */
function ended(
  child: ChildProcess,
  helper: string,
  { signal, timeoutMs = TIMEOUT_MS }: HelperOptions,
): Promise<{ status: number | string; output: string }> {
  return new Promise((resolve, reject) => {
    let output = ''
    const settle = (action: () => void) => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      action()
    }
    // What the helper itself has started may keep its output open: that is not waited for.
    const stop = (error: Error) => {
      child.kill('SIGKILL')
      child.stdout?.destroy()
      settle(() => reject(error))
    }
    const onAbort = () => stop(abortedError(signal ?? AbortSignal.abort()))
    const timer = setTimeout(
      () => stop(failed(helper, `it did not answer within ${timeoutMs / 1000} s`)),
      timeoutMs,
    )
    signal?.addEventListener('abort', onAbort, { once: true })
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output += text
      if (output.length > MAX_OUTPUT) stop(failed(helper, 'its answer is too long'))
    })
    child.on('error', (error) => stop(failed(helper, spawnFailure(error))))
    child.on('close', (status, killedBy) =>
      settle(() => resolve({ status: status ?? killedBy ?? 'unknown', output })),
    )
  })
}

function spawnFailure(error: Error): string {
  const code = 'code' in error ? error.code : undefined
  if (code === 'ENOENT') return 'it is not installed'
  return code === 'EACCES' ? 'it may not be executed' : error.message
}

function failed(helper: string, why: string, call?: string): RegistryError {
  return new RegistryError(
    'ERR_REGISTRY_CREDENTIALS',
    `the credential helper ${helperProgram(helper)} failed: ${why}`,
    {
      hint: call
        ? `see what it says: run ${call} with the registry on its standard input`
        : 'install or repair it, or remove it from credHelpers and credsStore in the configuration',
    },
  )
}
