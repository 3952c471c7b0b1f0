import { idMappingFacts } from '../host-files.ts'
import { surroundings } from '../surroundings.ts'
import { planProcess, planSpawn } from './plan-spawn.ts'
import type { PipedSandboxProcess, SandboxProcess } from './sandbox-process.ts'
import type { SpawnOptions, WithPipes } from './spawn-options.ts'
import { start } from './start.ts'

/**
 * `child_process.spawn`, in a sandbox: an own root with this machine's programs, no network, no
 * files, processes or environment of the caller, unless the options say so.
 *
 * Throws PolicyError for options that make no sense; all else that goes wrong is told by the event
 * `error` and by the promises `spawned` and `result`.
 */
export function spawn(
  file: string,
  args?: readonly string[],
  options?: WithPipes<SpawnOptions>,
): PipedSandboxProcess
export function spawn(
  file: string,
  args?: readonly string[],
  options?: SpawnOptions,
): SandboxProcess
export function spawn(
  file: string,
  args: readonly string[] = [],
  options: SpawnOptions = {},
): SandboxProcess {
  const around = surroundings()
  const context = { around, ids: () => idMappingFacts(around.env['PATH']) }
  return start(planSpawn([file, ...args], options, context), {
    ...options,
    joining: (changes, command) => planProcess(command, { ...options, ...changes }, context),
  })
}
