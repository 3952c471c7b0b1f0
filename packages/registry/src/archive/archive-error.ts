import { RegistryError } from '../errors.ts'

/** The error for an archive that cannot be believed or understood. */
export function badArchive(
  path: string,
  why: string,
  fields: { hint?: string; cause?: unknown } = {},
) {
  return new RegistryError(
    'ERR_REGISTRY_ARCHIVE',
    `${path} is not a usable image archive: ${why}`,
    {
      path,
      ...fields,
    },
  )
}

/** What went wrong with an archive's file, as a typed error; typed errors pass through. */
export function archiveError(action: string, path: string, cause: unknown): RegistryError {
  if (cause instanceof RegistryError) return cause
  const why = cause instanceof Error ? cause.message : String(cause)
  return new RegistryError('ERR_REGISTRY_ARCHIVE', `cannot ${action} ${path}: ${why}`, {
    path,
    cause,
  })
}
