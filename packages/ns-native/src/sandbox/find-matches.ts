import { type Dirent, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { PolicyError } from '../errors.ts'
import type { Pattern } from './glob.ts'
import { isWithin } from './paths.ts'

/** A walk over more than this is refused: starting a program must not take seconds. */
const ENTRIES_MAX = 250_000

/**
 * The real paths below these real directories that match a pattern; nothing is looked for below a
 * match. Links are not followed. A directory that cannot be looked into counts as a match: what may
 * be in it is not known. Throws PolicyError when there is too much to look at.
 */
export function findMatches(
  pattern: Pattern,
  directories: readonly string[],
  pointer: string,
): string[] {
  const found = new Set<string>()
  let left = ENTRIES_MAX
  const visit = (directory: string) => {
    const entries = list(directory)
    if (entries === undefined) {
      found.add(directory)
      return
    }
    left -= entries.length
    if (left < 0) throw tooMany(pointer)
    for (const entry of entries) {
      const path = join(directory, entry.name)
      if (pattern.matches(path)) found.add(path)
      else if (entry.isDirectory() && isOnTheWay(path, pattern)) visit(path)
    }
  }
  for (const directory of directories) {
    if (pattern.matches(directory)) found.add(directory)
    else if (isOnTheWay(directory, pattern)) visit(directory)
  }
  return [...found].sort()
}

/** Whether a match can be below a directory. */
function isOnTheWay(directory: string, { base, depth }: Pattern): boolean {
  if (isWithin(base, directory)) return true
  if (!isWithin(directory, base)) return false
  const names = directory.slice(base === '/' ? 1 : base.length + 1).split('/')
  return names.length < depth
}

function list(directory: string): Dirent[] | undefined {
  try {
    return readdirSync(directory, { withFileTypes: true })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    // gone since it was listed, or no directory: nothing is below it
    return code === 'ENOENT' || code === 'ENOTDIR' ? [] : undefined
  }
}

function tooMany(pointer: string): PolicyError {
  return new PolicyError(`${pointer}: more than ${ENTRIES_MAX} files would have to be looked at`, {
    pointer,
    hint: 'begin the pattern with a directory, or name what is visible more narrowly',
  })
}
