import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type ContainedProcess,
  type IdMappingPlan,
  type LaunchOptions,
  launch,
  type MonitorSpec,
  type OverlaySpec,
} from '@cromwell/ns-native'
import { PidstoreError } from '@cromwell/pidstore'
import { containerFiles } from './container-files.ts'
import type { Records } from './container-state.ts'
import { RuntimeError } from './errors.ts'
import { parseConfig } from './parse-config.ts'
import { planLaunch } from './plan-launch.ts'
import { discard } from './removal.ts'
import type { Reservation } from './reservation.ts'
import { RunningContainer } from './running-container.ts'
import { ROOT_EMULATION_ANNOTATION, type RuntimeConfig } from './runtime-spec.ts'
import { seccompFilter } from './seccomp-filter.ts'
import { isErrno } from './small-file.ts'
import { writeStateFile } from './state-file.ts'
import { unsupported } from './unsupported.ts'

/** How a reserved container is to be run. */
export interface RunOptions {
  /** How the id mapping of config.json gets written; needed exactly when it names a user namespace. */
  idMapping?: IdMappingPlan
  /** Mount this overlay on the root path first. */
  overlay?: OverlaySpec
  stdio: LaunchOptions['stdio']
  /** Let the container outlive this process. */
  detached?: boolean
  /** Keep its output in `<directory>/log`. */
  log?: boolean
  /** What vanishes with a container that was reserved with `removeOnExit`, besides its directory. */
  alsoRemove?: readonly string[]
  /** Kills the container. */
  signal?: AbortSignal
}

/**
 * Start what a reservation's bundle describes; resolves once its program has been executed.
 * The container belongs to this process until its records are written: should this process die
 * before, the monitor ends it.
 */
export async function start(
  records: Records,
  reservation: Reservation,
  options: RunOptions,
): Promise<RunningContainer> {
  const { id, state } = reservation
  const config = readConfig(state.bundle)
  const seccomp = seccompFilter(config)
  const spec = planLaunch(config, {
    bundle: state.bundle,
    ...(seccomp === undefined ? {} : { seccomp }),
    rootEmulation: asksForRootEmulation(config),
    ...(options.idMapping === undefined ? {} : { idMapping: options.idMapping }),
    ...(options.overlay === undefined ? {} : { overlay: options.overlay }),
    monitor: planMonitor(records, reservation, options),
  })
  const process = await launch(spec, {
    stdio: options.stdio,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  })
  try {
    await recordPid(records, reservation, process)
    if (!state.removeOnExit) markStarted(records, reservation)
    if (options.detached === true) process.detach()
  } catch (error) {
    process.kill('SIGKILL')
    throw error
  }
  return new RunningContainer(id, process, () => settle(records, reservation, options))
}

function readConfig(bundle: string): RuntimeConfig {
  const path = join(bundle, 'config.json')
  try {
    return parseConfig(readFileSync(path, 'utf8'))
  } catch (cause) {
    if (cause instanceof RuntimeError) throw cause
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new RuntimeError('ERR_RUNTIME_BUNDLE', `cannot read the bundle: ${why}`, { path, cause })
  }
}

function asksForRootEmulation(config: RuntimeConfig): boolean {
  const value = config.annotations?.[ROOT_EMULATION_ANNOTATION]
  if (value === undefined || value === 'true') return value === 'true'
  throw unsupported(`/annotations/${ROOT_EMULATION_ANNOTATION}`, `is ${JSON.stringify(value)}`)
}

/**
 * What the monitor does when the container has ended, whoever is left by then. The exit record
 * comes before the pid file goes (container-state.ts relies on it), and the container's directory
 * goes before the pid file (recordPid relies on it).
 */
function planMonitor(records: Records, reservation: Reservation, options: RunOptions): MonitorSpec {
  const { id, directory, state } = reservation
  const files = containerFiles(records.root, id)
  const pidPath = pidFile(records, id)
  const log = options.log === true ? { logPath: files.log } : {}
  if (!state.removeOnExit) return { ...log, exitPath: files.exit, removeOnExit: [pidPath] }
  return { ...log, removeOnExit: [directory, pidPath, ...(options.alsoRemove ?? [])] }
}

/**
 * Write the pid file. The container may be over before that, and its monitor gone: then nobody
 * else would take the file away again.
 */
async function recordPid(
  records: Records,
  { id, directory, state }: Reservation,
  { pid, monitorPid }: ContainedProcess,
): Promise<void> {
  try {
    await records.pids.create(id, { pid })
  } catch (error) {
    if (!(error instanceof PidstoreError)) throw error
    if (error.code === 'ERR_PIDSTORE_NO_PROCESS') return
    if (error.code !== 'ERR_PIDSTORE_PROC') throw error
    // Where /proc is mounted hidepid, it hides from us what cannot be traced, as PID 1 cannot. Its
    // monitor lives as long, passes signals on, and takes the container along when it is killed.
    await records.pids.create(id, { pid: monitorPid })
  }
  const { exit } = containerFiles(records.root, id)
  const ended = state.removeOnExit ? !existsSync(directory) : existsSync(exit)
  if (ended) await records.pids.remove(id)
}

/** From now on the container is one that ran, whatever else gets lost. */
function markStarted(records: Records, { id, state }: Reservation): void {
  const { state: path } = containerFiles(records.root, id)
  try {
    writeStateFile(path, { ...state, startedAt: new Date().toISOString() }, false)
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error // already ended and deleted by somebody else
  }
}

/** Do what the monitor should have done, in case it was killed. */
async function settle(
  records: Records,
  { id, directory, state }: Reservation,
  options: RunOptions,
): Promise<void> {
  if (existsSync(pidFile(records, id))) await records.pids.remove(id)
  if (!state.removeOnExit || !existsSync(directory)) return
  await discard(records.root, id, records.removeTree)
  for (const path of options.alsoRemove ?? []) await records.removeTree(path)
}

function pidFile({ pids }: Records, id: string): string {
  return join(pids.directory, `${id}.pid`)
}
