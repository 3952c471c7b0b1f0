import { readFileSync } from 'node:fs'
import { EngineError } from './errors.ts'
import { systemReason } from './system-reason.ts'

/**
 * The entries of an environment file, as Docker reads it: one `NAME=value` or bare `NAME` a line,
 * leading blanks and lines that begin with `#` left out, no quotes, no escapes, no interpolation.
 * Throws EngineError ERR_ENGINE_ENV_FILE.
 */
export function readEnvFile(path: string): string[] {
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch (cause) {
    const message = `cannot read the environment file ${path}: ${systemReason(cause)}`
    throw new EngineError('ERR_ENGINE_ENV_FILE', message, { path, cause })
  }
  return parseEnvFile(bytes, path)
}

/** The same for a file's content; `path` is for messages. */
export function parseEnvFile(bytes: Uint8Array, path: string): string[] {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes) // takes a byte order mark off
  } catch (cause) {
    throw new EngineError('ERR_ENGINE_ENV_FILE', `${path} is not UTF-8`, { path, cause })
  }
  return text.split(/\r?\n/).flatMap((line, index) => {
    const entry = line.trimStart()
    if (entry === '' || entry.startsWith('#')) return []
    const name = entry.split('=', 1)[0] ?? ''
    if (name === '' || /\s/.test(name) || entry.includes('\0')) {
      throw new EngineError(
        'ERR_ENGINE_ENV_FILE',
        `line ${index + 1} of ${path} sets no variable: ${JSON.stringify(name || entry).slice(0, 60)}`,
        { path, hint: 'write NAME=value, with no blanks in the name' },
      )
    }
    return [entry]
  })
}
