import { type HostIdMappingFacts, idmap } from '@cromwell/ns-native'

/** What the engine has to know about the machine and the user it works for. */
export interface HostFacts extends HostIdMappingFacts {
  /** What relative paths are relative to. Absolute. */
  cwd: string
  /**
   * The environment that bare names of `-e NAME` are looked up in, and where the usual variables
   * say where credentials are. Nothing of it reaches a container unasked.
   */
  env: Readonly<Record<string, string | undefined>>
}

/**
 * Read the facts about this machine from its files; environment and working directory are passed
 * in, since only the program knows whether its own are meant. Synchronous; takes well under 1 ms.
 */
export function readHostFacts(from: { env: HostFacts['env']; cwd: string }): HostFacts {
  return { ...idmap.facts(from.env['PATH']), ...from }
}
