import { readNamesById, releaseName } from './container-name.ts'
import type { EngineContext } from './context.ts'
import { findContainer } from './find-container.ts'

/**
 * Remove a container that has ended, or with `force` any, together with its name.
 * Throws EngineError ERR_ENGINE_CONTAINER_NOT_FOUND, ERR_ENGINE_AMBIGUOUS; RuntimeError ERR_RUNTIME_RUNNING.
 */
export async function removeContainer(
  context: EngineContext,
  container: string,
  options: { force?: boolean } = {},
): Promise<void> {
  const id = findContainer(context.home, container)
  await context.runtime.delete(id, options)
  const name = readNamesById(context.home).get(id)
  if (name !== undefined) releaseName(context.home, name, id)
}
