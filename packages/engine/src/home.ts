import { mkdirSync, statSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { EngineError } from './errors.ts'
import { systemReason } from './system-reason.ts'

/** The directories of `$CROMWELL_HOME`; see `docs/` for what is in each. */
export interface Home {
  directory: string
  /** OCI image layout of all images. */
  images: string
  /** Unpacked layers. */
  layers: string
  /** One directory per container. */
  containers: string
  /** One pid file per running container. */
  pids: string
  /** One symbolic link per container name, to the id. */
  names: string
}

/** Where things are in a home directory. Touches nothing. Throws EngineError ERR_ENGINE_HOME for a relative path. */
export function homePaths(directory: string): Home {
  if (!isAbsolute(directory)) {
    throw new EngineError('ERR_ENGINE_HOME', `cannot use ${directory}: the path is not absolute`, {
      path: directory,
    })
  }
  return {
    directory,
    images: join(directory, 'images'),
    layers: join(directory, 'layers'),
    containers: join(directory, 'containers'),
    pids: join(directory, 'pids'),
    names: join(directory, 'names'),
  }
}

/**
 * Make the home directory, closed to others, unless it is there. One that belongs to somebody else
 * is refused: its owner could plant an image or a container. Throws EngineError ERR_ENGINE_HOME.
 */
export function ensureHome(home: Home, uid: number): void {
  const path = home.directory
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    const { uid: owner } = statSync(path)
    if (owner === uid) return
    throw new EngineError('ERR_ENGINE_HOME', `cannot use ${path}: it belongs to uid ${owner}`, {
      path,
      hint: 'set CROMWELL_HOME to a directory of your own',
    })
  } catch (cause) {
    if (cause instanceof EngineError) throw cause
    throw new EngineError('ERR_ENGINE_HOME', `cannot make ${path}: ${systemReason(cause)}`, {
      path,
      cause,
      hint: 'set CROMWELL_HOME to a directory that can be written',
    })
  }
}
