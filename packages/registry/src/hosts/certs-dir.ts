import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { RegistryError } from '../errors.ts'
import type { TlsSettings } from './endpoint.ts'
import { isHost } from './location.ts'

/** Files of TLS, by path. */
export interface TlsFiles {
  ca: readonly string[]
  cert?: string
  key?: string
}

/**
 * The TLS settings of a host from directories named for hosts: `certs.d/HOST[:PORT]/`.
 *
 * There `*.crt` are authorities, and `NAME.cert` with `NAME.key` a client's certificate; of several the first
 * by name is used. The first directory that has one for the host counts, port and all as in the reference.
 * Throws `ERR_REGISTRY_HOSTS`. Source: containers-certs.d(5); docker, "Verify repository client with certificates".
 */
export async function readCertsDirs(
  directories: readonly string[],
  host: string,
): Promise<TlsSettings> {
  if (!isHost(host)) return {}
  for (const directory of directories) {
    const found = await readCertsDir(join(directory, host))
    if (found !== undefined) return found
  }
  return {}
}

/** The TLS settings in one directory; undefined if there is none, or none that may be read. */
export async function readCertsDir(directory: string): Promise<TlsSettings | undefined> {
  const names = await readdir(directory).catch(() => undefined)
  if (names === undefined) return undefined
  const ending = (end: string) => names.filter((name) => name.endsWith(end)).sort()
  const ca = ending('.crt').map((name) => join(directory, name))
  const [first] = ending('.cert').map((name) => name.slice(0, -'.cert'.length))
  for (const name of [...ending('.cert'), ...ending('.key')]) checkPair(directory, name, names)
  const path = join(directory, first ?? '')
  return readTlsFiles({
    ca,
    ...(first === undefined ? {} : { cert: `${path}.cert`, key: `${path}.key` }),
  })
}

function checkPair(directory: string, name: string, names: readonly string[]): void {
  const other = name.endsWith('.key') ? name.replace(/key$/, 'cert') : name.replace(/cert$/, 'key')
  if (names.includes(other)) return
  throw broken(join(directory, name), `there is no ${other} that belongs to it`)
}

/** The contents of such files. Throws `ERR_REGISTRY_HOSTS`. */
export async function readTlsFiles({ ca, cert, key }: TlsFiles): Promise<TlsSettings> {
  const files = [...new Set([...ca, ...(cert ? [cert] : []), ...(key ? [key] : [])])]
  if (files.length === 0) return {}
  const authorities = await Promise.all(ca.map((path) => readPem(path, 'CERTIFICATE')))
  return {
    files,
    ...(ca.length === 0 ? {} : { ca: authorities }),
    ...(cert === undefined ? {} : { cert: await readPem(cert, 'CERTIFICATE') }),
    ...(key === undefined ? {} : { key: await readPem(key, 'PRIVATE KEY') }),
  }
}

async function readPem(path: string, kind: string): Promise<string> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
    throw broken(path, `it cannot be read (${why})`)
  }
  // What it holds is never quoted: it may be a key.
  if (text.includes(`${kind}-----`)) return text
  throw broken(path, `it holds no ${kind.toLowerCase()} in PEM`)
}

function broken(path: string, why: string): RegistryError {
  return new RegistryError('ERR_REGISTRY_HOSTS', `cannot use ${path}: ${why}`, {
    path,
    hint: 'authorities end in .crt, client certificates in .cert, their keys in .key; all are PEM',
  })
}
