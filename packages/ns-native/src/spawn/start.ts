import { Readable, Writable } from 'node:stream'
import type { ContainedProcess } from '../contained-process.ts'
import { NamespaceError, PolicyError } from '../errors.ts'
import { startJoin } from '../join.ts'
import { type PendingLaunch, startLaunch } from '../launch.ts'
import type { LaunchSpec, ProcessSpec } from '../launch-spec.ts'
import { type ExecOptions, SandboxProcess } from './sandbox-process.ts'
import type { SpawnOptions } from './spawn-options.ts'
import { type StdioOptions, type StdioTargets, stdioTargets } from './stdio.ts'

/** How a planned program relates to this process. */
export type StartOptions = Pick<
  SpawnOptions,
  'stdio' | 'signal' | 'killSignal' | 'detached' | 'collectBytes' | 'onSyscall' | 'syscallTimeoutMs'
> & {
  degraded?: readonly string[]
  /** Done with the program once it runs. */
  whenStarted?: (program: ContainedProcess, child: SandboxProcess) => Promise<void>
  /** The program's part of the spec for one that joins it. */
  joining: (options: ExecOptions, command: readonly [string, ...string[]]) => ProcessSpec
  /** Called when nothing of it is left. */
  cleanUp?: () => void
}

/** Start what was planned. Throws PolicyError; tells all else by the process's events and promises. */
export function start(spec: LaunchSpec, options: StartOptions): SandboxProcess {
  const { detached = false } = options
  const child = begin(spec, options, (targets) =>
    startLaunch(spec, {
      ...targets,
      detached,
      ...answering(options),
      // never before there is a child: what the monitor says is heard later
      onLimit: (limit) => child.emit('limit', limit),
    }),
  )
  return child
}

/** Start a program in the sandbox of another. */
function startBeside(
  beside: ContainedProcess,
  spec: LaunchSpec,
  options: StartOptions,
): SandboxProcess {
  return begin(spec, options, (targets) =>
    startJoin(beside, { process: spec.process }, { ...targets, ...answering(options) }),
  )
}

function begin(
  spec: LaunchSpec,
  options: StartOptions,
  launch: (targets: StdioTargets) => PendingLaunch,
): SandboxProcess {
  const targets = stdioTargets(options.stdio ?? defaultStdio(spec))
  const launched = attempt(() => launch(targets))
  const [file = '', ...args] = spec.process.args
  return new SandboxProcess({
    command: [file, ...args],
    spec,
    launch: launched,
    stdio: launched instanceof Error ? standIns(targets.stdio) : streams(launched),
    signal: options.signal,
    killSignal: options.killSignal,
    collectBytes: options.collectBytes,
    degraded: options.degraded,
    whenStarted: options.whenStarted,
    cleanUp: options.cleanUp,
    exec: (beside, command, chosen) => {
      const process = options.joining(chosen, command)
      const { joining, degraded = [] } = options
      const same = { joining, degraded, ...answering(options) }
      return startBeside(beside, { ...spec, process }, { ...chosen, ...same })
    },
  })
}

/** Who answers system calls, where somebody does. */
function answering({ onSyscall, syscallTimeoutMs }: StartOptions) {
  return {
    ...(onSyscall === undefined ? {} : { onSyscall }),
    ...(syscallTimeoutMs === undefined ? {} : { syscallTimeoutMs }),
  }
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
function standIns([input, output, errors]: StdioTargets['stdio']) {
  const nothing = () => Readable.from([])
  return [
    input === 'pipe' ? new Writable().destroy() : null,
    output === 'pipe' ? nothing() : null,
    errors === 'pipe' ? nothing() : null,
  ] as const
}
