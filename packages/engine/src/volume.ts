import { realpathSync } from 'node:fs'
import { posix } from 'node:path'
import { EngineError } from './errors.ts'
import { systemReason } from './system-reason.ts'

/** A directory or file of the host that a container sees. */
export interface Volume {
  /** Absolute, on the host. */
  source: string
  /** Absolute, inside, without `.` and `..`. */
  destination: string
  readonly: boolean
}

/** Option words that change nothing here: mounts are private, binds recursive, labels absent. */
const NO_EFFECT = new Set(['rw', 'z', 'Z', 'rbind', 'private', 'rprivate', 'slave', 'rslave'])

/** Destinations that hold up the walls, with all that is below them. */
const FORBIDDEN_TREES = ['/proc']
/** Destinations that must stay ours themselves; what is below them may be mounted. */
const FORBIDDEN = ['/', '/dev', '/sys']

const MAKE_IT = 'make the directory or file first: unlike docker, nothing is made on the host'

/**
 * Read `source:destination[:ro|rw|…]`. A source that begins with `.` is relative to `cwd`. Its links are
 * followed here: those of `/proc/self`, where a removed `cwd` is found, mean something else to the helper.
 * Throws EngineError ERR_ENGINE_VOLUME for a source that does not exist, for named volumes (there
 * are none yet), and for destinations that would take the container's walls down.
 */
export function parseVolume(text: string, cwd: string): Volume {
  const [sourceText = '', destinationText, optionText, ...rest] = text.split(':')
  if (destinationText === undefined || rest.length > 0) {
    throw volumeError(text, 'it is not of the form source:destination[:options]')
  }
  const destination = posix.normalize(destinationText).replace(/(?<=.)\/$/, '')
  assertDestination(text, destination, destinationText)
  const source = resolveSource(text, sourceText, cwd)
  return { source, destination, readonly: parseOptions(text, optionText) }
}

function resolveSource(text: string, source: string, cwd: string): string {
  if (!/^[./]/.test(source)) {
    if (source === '') throw volumeError(text, 'the source is empty')
    throw volumeError(text, `named volumes such as ${source} do not exist yet`, {
      hint: source.startsWith('~')
        ? 'the shell only replaces a ~ that is not quoted: write "$HOME"'
        : `to mount a directory, write a path: ./${source}`,
    })
  }
  const path = posix.resolve(cwd, source)
  try {
    return realpathSync(path)
  } catch (cause) {
    const missing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
    throw missing
      ? volumeError(text, `${path} does not exist`, { path, cause, hint: MAKE_IT })
      : volumeError(text, `${path} cannot be used: ${systemReason(cause)}`, { path, cause })
  }
}

function assertDestination(text: string, destination: string, written: string): void {
  if (!written.startsWith('/')) throw volumeError(text, 'the destination is not an absolute path')
  const within = FORBIDDEN_TREES.find(
    (tree) => destination === tree || destination.startsWith(`${tree}/`),
  )
  if (within !== undefined || FORBIDDEN.includes(destination)) {
    throw volumeError(text, `nothing can be mounted over ${destination}`)
  }
}

function parseOptions(text: string, options: string | undefined): boolean {
  const words = options?.split(',') ?? []
  for (const word of words) {
    if (word !== 'ro' && !NO_EFFECT.has(word)) {
      throw volumeError(text, `the option ${JSON.stringify(word)} is not supported`)
    }
  }
  if (words.includes('ro') && words.includes('rw')) throw volumeError(text, 'it is both ro and rw')
  return words.includes('ro')
}

function volumeError(
  text: string,
  why: string,
  facts: { path?: string; hint?: string; cause?: unknown } = {},
): EngineError {
  return new EngineError('ERR_ENGINE_VOLUME', `cannot mount the volume ${text}: ${why}`, facts)
}
