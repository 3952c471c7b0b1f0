import { mkdirSync, renameSync, rmSync } from 'node:fs'
import { syncDirectory } from './atomic-file.ts'
import { type ContainerFiles, containerFiles } from './container-files.ts'
import { assertContainerId } from './container-id.ts'
import { creatingName, ownIdentity } from './creating-directory.ts'
import { RuntimeError } from './errors.ts'
import { OCI_VERSION } from './runtime-spec.ts'
import { isErrno } from './small-file.ts'
import { type StateFile, writeStateFile } from './state-file.ts'

/** What is known about a container before it runs. */
export interface ReserveOptions {
  id: string
  /** Directory of config.json; default: the container's own directory. */
  bundle?: string
  /** Shown in its state. */
  annotations?: Record<string, string>
  /** The container is to vanish when it ends; nothing about it is then made to survive a power failure. */
  removeOnExit?: boolean
}

/** An id that is ours, with the directory that goes with it. */
export interface Reservation {
  id: string
  /** `<root>/<id>`, mode 0700; the caller may put more into it. */
  directory: string
  state: StateFile
}

/**
 * Make a container's directory appear, state file and all, in one step (rename), so that a crash at
 * any instant leaves either nothing or a container that is known to be half-made.
 * Throws RuntimeError ERR_RUNTIME_ID, ERR_RUNTIME_EXISTS or ERR_RUNTIME_STATE.
 */
export function reserve(root: string, options: ReserveOptions): Reservation {
  assertContainerId(options.id)
  const files = containerFiles(root, options.id)
  const state = initialState(files, options)
  const temporary = `${root}/${creatingName(options.id, state.creator)}`
  try {
    mkdirSync(root, { recursive: true, mode: 0o700 })
    rmSync(temporary, { recursive: true, force: true })
    mkdirSync(temporary, { mode: 0o700 })
    writeStateFile(`${temporary}/state.json`, state, !state.removeOnExit)
    renameSync(temporary, files.directory)
    if (!state.removeOnExit) syncDirectory(root)
  } catch (cause) {
    rmSync(temporary, { recursive: true, force: true })
    throw reserveError(options.id, files, cause)
  }
  return { id: options.id, directory: files.directory, state }
}

function initialState(files: ContainerFiles, options: ReserveOptions): StateFile {
  return {
    ociVersion: OCI_VERSION,
    id: options.id,
    bundle: options.bundle ?? files.directory,
    annotations: options.annotations ?? {},
    createdAt: new Date().toISOString(),
    removeOnExit: options.removeOnExit ?? false,
    creator: ownIdentity(),
  }
}

function reserveError(id: string, files: ContainerFiles, cause: unknown): RuntimeError {
  if (cause instanceof RuntimeError) return cause
  const path = files.directory
  if (isErrno(cause, 'ENOTEMPTY') || isErrno(cause, 'EEXIST')) {
    return new RuntimeError('ERR_RUNTIME_EXISTS', `container ${id} exists already`, { id, path })
  }
  const why = cause instanceof Error ? cause.message : String(cause)
  return new RuntimeError('ERR_RUNTIME_STATE', `cannot create ${path}: ${why}`, { id, path, cause })
}
