import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import { PolicyError } from '../errors.ts'
import type { Surroundings } from '../surroundings.ts'
import { findMatches } from './find-matches.ts'
import { isPattern, parsePattern } from './glob.ts'
import { absolutePath, isWithin, lexical, realPath } from './paths.ts'
import type { FilePolicy, PathLike } from './policy.ts'
import { parseSize } from './quantities.ts'

/** What is to be at one path; paths are real, so that a link names no second one. */
export type Place = {
  path: string
  /** Where the policy says it. */
  pointer: string
} & (
  | { access: 'readOnly' | 'readWrite' | 'hide' | 'protect'; directory: boolean; link?: string }
  | { access: 'overlay'; directory: true; link?: string }
  | { access: 'scratch'; sizeBytes: number | undefined }
)

/** A place that shows something of the host. */
export type HostPlace = Exclude<Place, { access: 'scratch' | 'hide' | 'protect' }>

/**
 * The policy's places in the order in which they must be mounted: what is deeper comes later, so
 * that the more exact word decides. Throws PolicyError for what does not exist, is named twice, or
 * cannot be: nothing is passed over silently.
 */
export function findPlaces(files: FilePolicy, around: Surroundings): Place[] {
  const places = [
    ...named(files.readOnly, 'readOnly', around),
    ...named(files.readWrite, 'readWrite', around),
    ...named(files.overlay, 'overlay', around),
    ...scratches(files.scratch, around),
  ]
  const shown = places.filter((place) => place.access !== 'scratch')
  const directories = shown.filter(({ directory }) => directory).map(({ path }) => path)
  places.push(
    ...looked(files.hide, 'hide', directories, around),
    ...looked(files.protect, 'protect', directories, around),
  )
  return withoutTwice(places).sort((one, other) => depthOf(one.path) - depthOf(other.path))
}

function named(
  paths: readonly PathLike[] = [],
  access: 'readOnly' | 'readWrite' | 'overlay',
  around: Surroundings,
): Place[] {
  return paths.map((given, index) => {
    const pointer = `/files/${access}/${index}`
    if (isPattern(given)) {
      throw onlyHides(pointer)
    }
    const wanted = absolutePath(given, pointer, around)
    const path = realPath(wanted, pointer)
    if (path === undefined) throw new PolicyError(`${pointer}: there is no ${wanted}`, { pointer })
    if (isWithin(path, '/proc')) throw kernelFiles(pointer)
    const link = lexical(wanted) === path ? {} : { link: lexical(wanted) }
    const directory = isDirectory(path)
    if (access !== 'overlay') return { path, pointer, access, directory, ...link }
    if (directory) return { path, pointer, access, directory, ...link }
    throw new PolicyError(`${pointer}: an overlay needs a directory`, { pointer })
  })
}

function scratches(
  paths: NonNullable<FilePolicy['scratch']> = ['/tmp'],
  around: Surroundings,
): Place[] {
  return paths.map((entry, index) => {
    const pointer = `/files/scratch/${index}`
    const sized = typeof entry === 'object' && 'path' in entry
    const given = sized ? entry.path : entry
    if (isPattern(given)) {
      throw onlyHides(pointer)
    }
    const wanted = absolutePath(given, pointer, around)
    return {
      // it need not exist on the host
      path: realPath(wanted, pointer) ?? lexical(wanted),
      pointer,
      access: 'scratch',
      sizeBytes: sized ? parseSize(entry.size, `${pointer}/size`) : undefined,
    }
  })
}

/** What exists of what is to be hidden or protected: what is not there cannot be, and need not. */
function looked(
  paths: readonly PathLike[] = [],
  access: 'hide' | 'protect',
  directories: readonly string[],
  around: Surroundings,
): Place[] {
  return paths.flatMap((given, index) => {
    const pointer = `/files/${access}/${index}`
    const found = isPattern(given)
      ? matches(given, directories, pointer, around)
      : [lookedUp(absolutePath(given, pointer, around), pointer)]
    return found
      .filter((path) => path !== undefined)
      .map((path) => ({ path, pointer, access, directory: isDirectory(path) }))
  })
}

/** A path to hide; where the caller may not look, the directory that keeps it from looking. */
function lookedUp(path: string, pointer: string): string | undefined {
  try {
    return realPath(path, pointer)
  } catch (error) {
    if (path === '/' || !(error instanceof PolicyError)) throw error
    return lookedUp(dirname(path), pointer)
  }
}

/** A match that is a link is hidden where it leads. */
function matches(
  pattern: string,
  directories: readonly string[],
  pointer: string,
  around: Surroundings,
): (string | undefined)[] {
  const ofHome = pattern.startsWith('~/')
  const base = ofHome ? (realPath(around.home, pointer) ?? around.home) : around.cwd
  const parsed = parsePattern(ofHome ? pattern.slice(2) : pattern, base, pointer, !ofHome)
  return findMatches(parsed, directories, pointer).map((path) => realPath(path, pointer))
}

function withoutTwice(places: readonly Place[]): Place[] {
  const seen = new Map<string, Place>()
  for (const place of places) {
    const { path, pointer } = place
    const other = seen.get(path)
    if (other === undefined) seen.set(path, place)
    if (other === undefined || other.access === place.access) continue
    throw new PolicyError(`${pointer}: ${path} is named by ${other.pointer}, too`, {
      pointer,
      hint: 'say one thing about a path: what is deeper may be said differently',
    })
  }
  return [...seen.values()]
}

function onlyHides(pointer: string): PolicyError {
  return new PolicyError(`${pointer}: a pattern can only hide or protect`, {
    pointer,
    hint: 'name the directory; for a name with * ? [ or { in it, give a URL (pathToFileURL)',
  })
}

function kernelFiles(pointer: string): PolicyError {
  return new PolicyError(`${pointer}: the host's /proc cannot be shown`, { pointer })
}

function depthOf(path: string): number {
  return path === '/' ? 0 : path.split('/').length - 1
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}
