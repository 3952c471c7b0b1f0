import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Credentials } from './credentials.ts'

/** A directory of credentials files and helpers, for tests. */
export interface AuthDirectory {
  path: string
  /** The environment in which helpers are found. */
  env: Record<string, string | undefined>
  /** Write JSON, or a text as it is. Returns the path. */
  write(name: string, content: object | string): Promise<string>
  /** Install a shell script as `docker-credential-NAME`. */
  helper(name: string, script: string): Promise<void>
  /** Install a helper that keeps what it is given, one file a server, and notes its calls in `NAME.calls`. */
  keepingHelper(name: string): Promise<void>
  remove(): Promise<void>
}

/** Make such a directory. */
export async function makeAuthDirectory(): Promise<AuthDirectory> {
  const path = await mkdtemp(join(tmpdir(), 'cromwell-credentials-'))
  const directory: AuthDirectory = {
    path,
    env: { PATH: `${path}:${process.env['PATH']}` },
    async write(name, content) {
      const file = join(path, name)
      await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content))
      return file
    },
    async helper(name, script) {
      const program = join(path, `docker-credential-${name}`)
      await writeFile(program, `#!/bin/sh\n${script}\n`)
      await chmod(program, 0o755)
    },
    keepingHelper: (name) => directory.helper(name, keepingScript(path, name)),
    remove: () => rm(path, { recursive: true, force: true }),
  }
  return directory
}

/** By docker's helper protocol: `store` takes JSON, `get` and `erase` a server. */
function keepingScript(path: string, name: string): string {
  return `
    input=$(cat)
    echo "$1 $(printf %s "$input" | sed 's/"Secret":"[^"]*"/"Secret":"…"/')" >> "${path}/${name}.calls"
    server=$(printf %s "$input" | sed -n 's/.*"ServerURL":"\\([^"]*\\)".*/\\1/p')
    file="${path}/${name}-$(printf %s "\${server:-$input}" | tr / _)"
    case $1 in
      store) printf %s "$input" > "$file" ;;
      get) [ -e "$file" ] || { echo "credentials not found in native keychain"; exit 1; }; cat "$file" ;;
      erase) [ -e "$file" ] || { echo "credentials not found in native keychain"; exit 1; }; rm "$file" ;;
    esac`
}

/** Credentials of a name and a password. */
export function password(username: string, secret: string): Credentials {
  return { type: 'password', username, password: secret }
}

/** As the `auth` member of an entry has it. */
export function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

/** What a promise failed with. */
export async function failureOf(promise: Promise<unknown>): Promise<Error> {
  return promise.then(
    () => new Error('it did not fail'),
    (error: Error) => error,
  )
}
