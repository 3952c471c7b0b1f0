import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { findByName } from './container-name.ts'
import { EngineError } from './errors.ts'
import type { Home } from './home.ts'

/**
 * The id that is meant: an exact id, then a name, then the one id that begins so.
 * Throws EngineError ERR_ENGINE_CONTAINER_NOT_FOUND or ERR_ENGINE_AMBIGUOUS.
 */
export function findContainer(home: Home, text: string): string {
  const ids = containerIds(home)
  if (ids.includes(text)) return text
  const named = findByName(home, text)
  if (named !== undefined && existsSync(join(home.containers, named))) return named
  const [first, ...others] = text === '' ? [] : ids.filter((id) => id.startsWith(text))
  if (first === undefined) {
    throw new EngineError(
      'ERR_ENGINE_CONTAINER_NOT_FOUND',
      `there is no container ${JSON.stringify(text)}`,
      { hint: 'see what there is: cromwell ps -a' },
    )
  }
  if (others.length === 0) return first
  throw new EngineError(
    'ERR_ENGINE_AMBIGUOUS',
    `${others.length + 1} containers have an id that begins with ${text}`,
    { hint: 'give more of the id, or the name' },
  )
}

function containerIds(home: Home): string[] {
  try {
    return readdirSync(home.containers).filter((name) => !name.startsWith('.'))
  } catch {
    return [] // nothing has ever run here
  }
}
