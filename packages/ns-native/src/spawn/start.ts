import { Readable, Writable } from 'node:stream'
import type { ContainedProcess } from '../contained-process.ts'
import { NamespaceError, PolicyError } from '../errors.ts'
import type { StdioTarget } from '../helper.ts'
import { startJoin } from '../join.ts'
import { type PendingLaunch, startLaunch } from '../launch.ts'
import type { LaunchSpec, ProcessSpec } from '../launch-spec.ts'
import { type ExecOptions, SandboxProcess } from './sandbox-process.ts'
import type { SpawnOptions } from './spawn-options.ts'
import { type StdioOptions, stdioTargets } from './stdio.ts'

/** How a planned program relates to this process. */
export type StartOptions = Pick<
  SpawnOptions,
  'stdio' | 'signal' | 'killSignal' | 'detached' | 'collectBytes' | 'onSyscall' | 'syscallTimeoutMs'
> & {
  degraded?: readonly string[]
  /** The program's part of the spec for one that joins it. */
  joining: (options: ExecOptions, command: readonly [string, ...string[]]) => ProcessSpec
  /** Called when nothing of it is left. */
  cleanUp?: () => void
}

type Targets = [StdioTarget, StdioTarget, StdioTarget]

/** Start what was planned. Throws PolicyError; tells all else by the process's events and promises. */
export function start(spec: LaunchSpec, options: StartOptions): SandboxProcess {
  const { detached = false } = options
  const answers = answering(options)
  return begin(spec, options, (stdio) => startLaunch(spec, { stdio, detached, ...answers }))
}

/** Start a program in the sandbox of another. */
function startBeside(
  beside: ContainedProcess,
  spec: LaunchSpec,
  options: StartOptions,
): SandboxProcess {
  const answers = answering(options)
  return begin(spec, options, (stdio) =>
    startJoin(beside, { process: spec.process }, { stdio, ...answers }),
  )
}

function answering({ onSyscall, syscallTimeoutMs }: StartOptions) {
  return {
    ...(onSyscall === undefined ? {} : { onSyscall }),
    ...(syscallTimeoutMs === undefined ? {} : { syscallTimeoutMs }),
  }
}

function begin(
  spec: LaunchSpec,
  options: StartOptions,
  launch: (stdio: Targets) => PendingLaunch,
): SandboxProcess {
  const targets = stdioTargets(options.stdio ?? defaultStdio(spec))
  const launched = attempt(() => launch(targets))
  const [file = '', ...args] = spec.process.args
  return new SandboxProcess({
    command: [file, ...args],
    spec,
    launch: launched,
    stdio: launched instanceof Error ? standIns(targets) : streams(launched),
    signal: options.signal,
    killSignal: options.killSignal,
    collectBytes: options.collectBytes,
    degraded: options.degraded ?? [],
    cleanUp: options.cleanUp,
    exec: (beside, command, chosen) => {
      const process = options.joining(chosen, command)
      const { joining, degraded = [] } = options
      const more = { ...chosen, ...answering(options), joining, degraded }
      return startBeside(beside, { ...spec, process }, more)
    },
  })
}

// A terminal has one output: it would not be told apart from a second one.
function defaultStdio({ process }: LaunchSpec): StdioOptions {
  return process.terminal === undefined ? 'pipe' : ['pipe', 'pipe', 'ignore']
}

function attempt(launch: () => PendingLaunch): PendingLaunch | Error {
  try {
    return launch()
  } catch (error) {
    if (error instanceof NamespaceError && !(error instanceof PolicyError)) return error
    throw error
  }
}

function streams({ pipes: [input, output, errors] }: PendingLaunch) {
  return [input ?? null, output ?? null, errors ?? null] as const
}

/** Streams of a program that never was: whoever uses them need not know. */
function standIns([input, output, errors]: Targets) {
  const nothing = () => Readable.from([])
  return [
    input === 'pipe' ? new Writable().destroy() : null,
    output === 'pipe' ? nothing() : null,
    errors === 'pipe' ? nothing() : null,
  ] as const
}
