import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { makeCertificate } from './certificate.ts'
import type { Fault } from './fault.ts'
import type { TestRegistryOptions } from './test-registry.ts'

/** What `cromwell-test-registry --help` prints. */
export const USAGE = `Usage: cromwell-test-registry [options]

An OCI registry for tests. It keeps what is pushed in memory, and ends on SIGTERM or SIGINT.

  --port PORT            where to listen; default: a port that is free
  --host ADDRESS         default: 127.0.0.1
  --data DIR             keep everything in this directory
  --auth none|basic|token
                         who may do what; default: none, or token if there is a --user
  --user NAME:PASSWORD   somebody who may do everything; can be repeated
  --private              only users may read
  --tls                  speak TLS, with a certificate made for this run
  --tls-cert FILE, --tls-key FILE
                         speak TLS, with this certificate and key in PEM
  --read-only            refuse every change
  --no-delete            refuse to delete
  --no-referrers         have no referrers API
  --sparse               take manifests before what they refer to
  --redirect-blobs       serve blobs from another port, by a redirect
  --page-size N          entries of a list at once
  --chunk-min BYTES      what a chunk has to have
  --fault JSON           let something fail, such as
                         '{"on":"blob","type":"status","status":503,"times":2}'; can be repeated
  --help                 print this
`

/** A command line that cannot be followed; `message` says why. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** What the command line says; `help` if it asks for {@link USAGE}. Throws {@link UsageError}. */
export function parseCommandLine(args: string[]): TestRegistryOptions | 'help' {
  const values = parse(args)
  if (values.help) return 'help'
  const users = usersOf(values.user ?? [])
  const tls = tlsOf(values)
  return {
    port: values.port === undefined ? 0 : whole('--port', values.port),
    ...(values.host === undefined ? {} : { address: values.host }),
    ...(values.data === undefined ? {} : { data: values.data }),
    auth: authOf(values.auth, users),
    users,
    private: values.private ?? false,
    tokenService: 'registry',
    ...(tls === undefined ? {} : { tls }),
    readOnly: values['read-only'] ?? false,
    deletion: values['no-delete'] ? { tags: false, manifests: false, blobs: false } : {},
    referrers: !values['no-referrers'],
    sparse: values.sparse ?? false,
    strictAccept: false,
    redirectBlobs: values['redirect-blobs'] ?? false,
    ...number('pageSize', '--page-size', values['page-size']),
    ...number('chunkMinBytes', '--chunk-min', values['chunk-min']),
    faults: (values.fault ?? []).map(faultOf),
  }
}

const OPTIONS = {
  port: { type: 'string' },
  host: { type: 'string' },
  data: { type: 'string' },
  auth: { type: 'string' },
  user: { type: 'string', multiple: true },
  private: { type: 'boolean' },
  tls: { type: 'boolean' },
  'tls-cert': { type: 'string' },
  'tls-key': { type: 'string' },
  'read-only': { type: 'boolean' },
  'no-delete': { type: 'boolean' },
  'no-referrers': { type: 'boolean' },
  sparse: { type: 'boolean' },
  'redirect-blobs': { type: 'boolean' },
  'page-size': { type: 'string' },
  'chunk-min': { type: 'string' },
  fault: { type: 'string', multiple: true },
  help: { type: 'boolean', short: 'h' },
} as const

function parse(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS }).values
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

function usersOf(pairs: string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const colon = pair.indexOf(':')
      if (colon < 1) throw new UsageError('--user takes NAME:PASSWORD')
      return [pair.slice(0, colon), pair.slice(colon + 1)]
    }),
  )
}

function authOf(
  text: string | undefined,
  users: Record<string, string>,
): 'none' | 'basic' | 'token' {
  if (text === undefined) return Object.keys(users).length > 0 ? 'token' : 'none'
  if (text === 'none' || text === 'basic' || text === 'token') return text
  throw new UsageError(`--auth takes none, basic or token, not ${text}`)
}

function tlsOf(values: ReturnType<typeof parse>): { cert: string; key: string } | undefined {
  const { tls, host, 'tls-cert': cert, 'tls-key': key } = values
  if ((cert === undefined) !== (key === undefined)) {
    throw new UsageError('--tls-cert and --tls-key go together')
  }
  if (cert !== undefined && key !== undefined) {
    return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') }
  }
  return tls ? makeCertificate(host === undefined ? [] : [host]) : undefined
}

function number<Name extends string>(
  name: Name,
  flag: string,
  text: string | undefined,
): Partial<Record<Name, number>> {
  if (text === undefined) return {}
  return { [name]: whole(flag, text) } as Record<Name, number> // the computed name is Name
}

function whole(flag: string, text: string): number {
  if (/^\d{1,10}$/.test(text)) return Number(text)
  throw new UsageError(`${flag} takes a whole number, not ${text}`)
}

function faultOf(text: string): Fault {
  try {
    const fault = JSON.parse(text)
    if (typeof fault.on === 'string' && typeof fault.type === 'string') return fault
  } catch {
    // said below
  }
  throw new UsageError(`--fault takes a JSON object with "on" and "type", not ${text}`)
}
