import { resolve } from 'node:path'
import { usageError } from './errors.ts'

/** A host directory or file that a container sees. */
export interface Volume {
  /** Absolute path on the host. */
  source: string
  /** Absolute path in the container. */
  destination: string
  readOnly: boolean
}

/**
 * Parse `-v SRC:DST[:ro|:rw]`; a source that starts with `.` or `~/` is completed. Throws ERR_CLI_USAGE.
 */
export function parseVolume(
  text: string,
  base: { currentDirectory(): string; home: string },
): Volume {
  const [source = '', destination = '', mode, ...more] = text.split(':')
  if (destination === '' || source === '' || more.length > 0) {
    throw usageError(
      `invalid volume '${text}'`,
      'write -v SOURCE:DESTINATION or -v SOURCE:DESTINATION:ro',
    )
  }
  if (!destination.startsWith('/')) {
    throw usageError(`invalid volume '${text}': the path in the container must be absolute`)
  }
  if (mode !== undefined && mode !== 'ro' && mode !== 'rw') {
    throw usageError(`invalid volume '${text}': unknown mode '${mode}'`, 'the modes are ro and rw')
  }
  return { source: completeSource(source, text, base), destination, readOnly: mode === 'ro' }
}

function completeSource(
  source: string,
  text: string,
  base: { currentDirectory(): string; home: string },
): string {
  if (source.startsWith('/')) return source
  if (source === '~' || source.startsWith('~/')) return resolve(base.home, `.${source.slice(1)}`)
  if (source === '.' || source === '..' || /^\.{1,2}\//.test(source)) {
    return resolve(base.currentDirectory(), source)
  }
  throw usageError(
    `invalid volume '${text}': there are no named volumes`,
    `for a directory write -v ./${source}:…`,
  )
}
