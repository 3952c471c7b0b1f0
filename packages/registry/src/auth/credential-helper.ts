import { spawn } from 'node:child_process'
import { abortedError } from '../abort.ts'
import { RegistryError } from '../errors.ts'
import { isObject } from '../image/json-document.ts'
import type { Credentials } from './credentials.ts'

const TIMEOUT_MS = 60_000
const MAX_OUTPUT = 1024 * 1024
/** By this user name a helper says that the secret is an identity token. */
const TOKEN_USER = '<token>'

/**
 * Ask `docker-credential-NAME get` for the credentials of a server.
 *
 * Undefined if the helper knows none. Throws `ERR_REGISTRY_CREDENTIALS` if the helper is missing, fails or
 * takes longer than a minute; what it wrote is never quoted. Source: docker-credential-helpers, README.
 */
export async function runCredentialHelper(
  helper: string,
  server: string,
  signal?: AbortSignal,
): Promise<Credentials | undefined> {
  const program = `docker-credential-${helper}`
  if (!/^[\w.-]+$/.test(helper)) throw failed(program, 'its name is not a plain file name')
  const { status, output } = await run(program, server, signal)
  if (status !== 0) {
    if (/credentials not found/i.test(output)) return undefined
    throw failed(program, `it ended with status ${status}`)
  }
  return parseAnswer(program, output)
}

function parseAnswer(program: string, output: string): Credentials | undefined {
  let answer: unknown
  try {
    answer = JSON.parse(output)
  } catch {
    throw failed(program, 'its answer is not JSON')
  }
  const { Username: username, Secret: secret } = isObject(answer) ? answer : {}
  if (typeof username !== 'string' || typeof secret !== 'string') {
    throw failed(program, 'its answer has no user name and secret')
  }
  if (secret === '') return undefined
  if (username === TOKEN_USER) return { type: 'identity-token', token: secret }
  return { type: 'password', username, password: secret }
}

function run(
  program: string,
  input: string,
  signal: AbortSignal | undefined,
): Promise<{ status: number | string; output: string }> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(abortedError(signal))
    const child = spawn(program, ['get'], {
      stdio: ['pipe', 'pipe', 'ignore'],
      timeout: TIMEOUT_MS,
    })
    const stop = () => child.kill('SIGKILL')
    signal?.addEventListener('abort', stop, { once: true })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
      if (output.length > MAX_OUTPUT) stop()
    })
    child.stdin.on('error', () => {}) // it may end without reading
    child.stdin.end(input)
    child.on('error', (error) => {
      signal?.removeEventListener('abort', stop)
      const missing = 'code' in error && error.code === 'ENOENT'
      reject(failed(program, missing ? 'it is not installed' : error.message))
    })
    child.on('close', (status, killedBy) => {
      signal?.removeEventListener('abort', stop)
      if (signal?.aborted) reject(abortedError(signal))
      else resolve({ status: status ?? killedBy ?? 'unknown', output })
    })
  })
}

function failed(program: string, why: string): RegistryError {
  return new RegistryError(
    'ERR_REGISTRY_CREDENTIALS',
    `the credential helper ${program} failed: ${why}`,
    {
      hint: 'install or repair it, or remove it from credHelpers and credsStore in the configuration',
    },
  )
}
