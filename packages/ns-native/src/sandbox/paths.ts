import { realpathSync } from 'node:fs'
import { isAbsolute, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PolicyError } from '../errors.ts'
import type { Surroundings } from '../surroundings.ts'
import type { PathLike } from './policy.ts'

/** An absolute path, not yet looked up: links in it, and `..` after them, mean what the kernel says they mean. */
export function absolutePath(
  path: PathLike,
  pointer: string,
  { cwd, home }: Pick<Surroundings, 'cwd' | 'home'>,
): string {
  const text = path instanceof URL ? urlPath(path, pointer) : path
  if (typeof text !== 'string' || text === '' || text.includes('\0')) {
    throw new PolicyError(`${pointer}: expected a path, but received ${JSON.stringify(path)}`, {
      pointer,
    })
  }
  if (text === '~') return home
  if (text.startsWith('~/')) return `${home}/${text.slice(2)}`
  if (text.startsWith('~')) {
    const hint = `write ./${text} for a file of that name`
    throw new PolicyError(`${pointer}: other users' homes are not looked up`, { pointer, hint })
  }
  return isAbsolute(text) ? text : `${cwd}/${text}`
}

/** Where a path really is, or undefined when there is nothing. Throws PolicyError where it cannot be looked up. */
export function realPath(path: string, pointer: string): string | undefined {
  try {
    // realpath(3): unlike path.resolve, it goes through a link before it takes the `..` after it
    return realpathSync.native(path)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new PolicyError(`${pointer}: cannot look up ${path}: ${code}`, { pointer, cause: error })
  }
}

/** Whether a path is the directory or lies in it. Both real. */
export function isWithin(path: string, directory: string): boolean {
  return directory === '/' || path === directory || path.startsWith(`${directory}/`)
}

/** The path without `.`, `..` and double slashes, for names that need not exist. */
export function lexical(path: string): string {
  return resolve(join('/', path))
}

function urlPath(url: URL, pointer: string): string {
  if (url.protocol === 'file:') return fileURLToPath(url)
  throw new PolicyError(`${pointer}: only file: URLs are paths`, { pointer })
}
