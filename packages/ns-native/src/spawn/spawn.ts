import { Readable, Writable } from 'node:stream'
import { NamespaceError, PolicyError } from '../errors.ts'
import type { StdioTarget } from '../helper.ts'
import { type PendingLaunch, startLaunch } from '../launch.ts'
import type { LaunchSpec } from '../launch-spec.ts'
import { idMappingFacts, surroundings } from '../surroundings.ts'
import { planSpawn } from './plan-spawn.ts'
import { SandboxProcess } from './sandbox-process.ts'
import type { SpawnOptions } from './spawn-options.ts'
import { stdioTargets } from './stdio.ts'

/**
 * `child_process.spawn`, in a sandbox: an own root with this machine's programs, no network, no
 * files, processes or environment of the caller, unless the options say so.
 *
 * Throws PolicyError for options that make no sense; all else that goes wrong is told by the event
 * `error` and by the promises `spawned` and `result`.
 */
export function spawn(
  file: string,
  args: readonly string[] = [],
  options: SpawnOptions = {},
): SandboxProcess {
  const command = [file, ...args] as const
  const stdio = stdioTargets(options.stdio)
  const context = { around: surroundings(), ids: idMappingFacts }
  return startPlanned(command, planSpawn(command, options, context), { ...options, stdio })
}

type StartOptions = Pick<SpawnOptions, 'signal' | 'killSignal' | 'detached' | 'collectBytes'> & {
  stdio: readonly [StdioTarget, StdioTarget, StdioTarget]
  degraded?: readonly string[]
  /** Called when nothing of it is left. */
  cleanUp?: () => void
}

/** Start what was planned. Throws PolicyError. */
export function startPlanned(
  command: readonly [string, ...string[]],
  spec: LaunchSpec,
  options: StartOptions,
): SandboxProcess {
  const launch = tryLaunch(spec, options)
  const failed = launch instanceof Error
  if (launch instanceof PolicyError) throw launch
  return new SandboxProcess({
    command,
    spec,
    launch,
    stdio: failed ? standIns(options.stdio) : streams(launch),
    signal: options.signal,
    killSignal: options.killSignal,
    collectBytes: options.collectBytes,
    degraded: options.degraded ?? [],
    cleanUp: options.cleanUp,
  })
}

function tryLaunch(
  spec: LaunchSpec,
  { stdio, detached = false }: StartOptions,
): PendingLaunch | Error {
  try {
    return startLaunch(spec, { stdio, detached })
  } catch (error) {
    if (error instanceof NamespaceError) return error
    throw error
  }
}

function streams({ pipes: [input, output, errors] }: PendingLaunch) {
  return [input ?? null, output ?? null, errors ?? null] as const
}

/** Streams of a program that never was: whoever uses them need not know. */
function standIns([input, output, errors]: StartOptions['stdio']) {
  const nothing = () => Readable.from([])
  return [
    input === 'pipe' ? new Writable().destroy() : null,
    output === 'pipe' ? nothing() : null,
    errors === 'pipe' ? nothing() : null,
  ] as const
}
