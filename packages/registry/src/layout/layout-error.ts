import { RegistryError } from '../errors.ts'

const REASONS: Record<string, [why: string, hint: string]> = {
  ENOSPC: ['no space left on the device', 'free some space there, or keep images elsewhere'],
  EDQUOT: ['the disk quota is used up', 'free some space there, or keep images elsewhere'],
  EACCES: ['permission denied', 'check who owns the directory'],
  EPERM: ['not permitted', 'check who owns the directory'],
  EROFS: ['the file system is read-only', 'keep images elsewhere'],
  EEXIST: ['a file is in the way', 'remove what is in the way'],
  ENOTDIR: ['a part of the path is not a directory', 'remove what is in the way'],
  ELOOP: ['it is a symbolic link', 'remove what is in the way'],
}

/** What went wrong with a file of the layout, as a typed error; typed errors pass through. */
export function layoutError(action: string, path: string, cause: unknown): RegistryError {
  if (cause instanceof RegistryError) return cause
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  const [why, hint] = REASONS[code] ?? [
    cause instanceof Error ? cause.message : String(cause),
    undefined,
  ]
  return new RegistryError('ERR_REGISTRY_LAYOUT', `cannot ${action} ${path}: ${why}`, {
    path,
    cause,
    hint,
  })
}

/** The error for a layout whose content breaks the image-layout specification. */
export function damagedLayout(path: string, why: string, cause?: unknown): RegistryError {
  return new RegistryError('ERR_REGISTRY_LAYOUT', `${path} is damaged: ${why}`, {
    path,
    cause,
    hint: 'move it away and pull the image again',
  })
}

/** Whether a file or directory is simply not there. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
