import { lstatSync, readdirSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { EngineError } from './errors.ts'

/**
 * How to put a root together from the parts of a directory in which other file systems are mounted.
 * The kernel lets nobody in a user namespace look under a mount of somebody else's, so such a
 * directory cannot be the lower layer of an overlay; its subdirectories without mounts can.
 * All paths are relative to the root and begin with a slash.
 */
export interface ComposedRoot {
  /** To be made, in this order; where something is mounted on the host they stay empty. */
  directories: { path: string; mode: number }[]
  links: { path: string; target: string }[]
  /** Directories that get an overlay of their own. */
  overlays: string[]
  /** Other files, to be bind-mounted read-only. */
  files: string[]
}

/** More would make every start slow (each mount costs some microseconds) and mean that this is the wrong directory. */
const MAX_PARTS = 500

/**
 * Plan the root for `directory`, below which `mountPoints` (absolute) are mounted.
 * Throws EngineError ERR_ENGINE_ROOTFS when it would take too many mounts.
 */
export function composeRoot(directory: string, mountPoints: readonly string[]): ComposedRoot {
  const root: ComposedRoot = { directories: [], links: [], overlays: [], files: [] }
  const prefix = directory === '/' ? '' : directory
  addEntries('/')
  return root

  function addEntries(parent: string): void {
    for (const name of readdirSync(`${prefix}${parent}`)) {
      const path = join(parent, name)
      add(path, `${prefix}${path}`)
      if (root.overlays.length + root.files.length > MAX_PARTS) throw tooManyParts(directory)
    }
  }

  function add(path: string, source: string): void {
    const status = lstatSync(source, { throwIfNoEntry: false })
    if (status === undefined) return
    if (status.isSymbolicLink()) {
      root.links.push({ path, target: readlinkSync(source) })
    } else if (status.isDirectory()) {
      root.directories.push({ path, mode: status.mode & 0o7777 })
      if (mountPoints.includes(source)) return
      if (!mountPoints.some((point) => point.startsWith(`${source}/`))) root.overlays.push(path)
      else addEntries(path)
    } else if (status.isFile()) root.files.push(path)
  }
}

function tooManyParts(directory: string): EngineError {
  return new EngineError(
    'ERR_ENGINE_ROOTFS',
    `cannot run on ${directory}: other file systems are mounted in it at too many places`,
    { path: directory, hint: 'use a directory with fewer mounts below it' },
  )
}
