import type { Engine, OnEvent } from '@cromwell/engine'
import type { Environment } from './environment.ts'

/** The engine of this user's home directory. It is loaded here, for help and slips need none. */
export async function openEngine(environment: Environment, onEvent?: OnEvent): Promise<Engine> {
  const { createEngine, readHostFacts } = await import('./engine-entry.ts')
  return createEngine({
    home: environment.cromwellHome,
    host: readHostFacts({ env: environment.variables, cwd: environment.currentDirectory }),
    ...(onEvent === undefined ? {} : { onEvent }),
  })
}
