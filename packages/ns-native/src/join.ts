import { checkSpec } from './check-spec.ts'
import { ContainedProcess } from './contained-process.ts'
import { PolicyError } from './errors.ts'
import { beginLaunch, type LaunchOptions, type PendingLaunch } from './launch.ts'
import type { LaunchSpec } from './launch-spec.ts'
import type { Limits } from './limits.ts'

/**
 * A container that runs: as `launch` or `attach` gave it, or the number of its PID 1 out here with
 * field 22 of `/proc/PID/stat`, which tells it from a later process of the same number.
 */
export type JoinTarget = ContainedProcess | { pid: number; startTime: number }

/** The further program. Where it runs is the container's affair, what it may do is not: see `join`. */
export type JoinSpec = Pick<LaunchSpec, 'process' | 'monitor'> & {
  /** Of this program alone; in the limits of the container's control group it is as well. */
  limits?: Pick<Limits, 'wallMs' | 'cpuMs' | 'outputBytes'>
}

/**
 * Run a further program in a container (`docker exec`); resolves once it has been executed.
 *
 * It enters all namespaces in which the container's program is, with its ids and its root, under a
 * monitor of its own: `wait` and `kill` are about it alone. In the container's control group it is from birth. The container's end is its end, as is,
 * unless it is detached, the end of this process. Nothing is taken over from the container's own
 * program: capabilities, filter and limits are those of `spec`, and nothing else. Needs root or the
 * user who started the container.
 *
 * Rejects like `launch`, and with ERR_NS_ENDED when the container has ended, or never was.
 */
export async function join(
  target: JoinTarget,
  spec: JoinSpec,
  options: LaunchOptions,
): Promise<ContainedProcess> {
  return startJoin(target, spec, options).started
}

/** The same as {@link join}, for who wants the streams before the program runs. Throws what goes wrong until then. */
export function startJoin(
  target: JoinTarget,
  spec: JoinSpec,
  options: LaunchOptions,
): PendingLaunch {
  const whole = { ...spec, namespaces: [], mounts: [], maskedPaths: [], readonlyPaths: [] }
  checkSpec(whole, true)
  const identity = identify(target)
  for (const name of ['memoryBytes', 'cpus', 'pids', 'io'] as const) {
    const given = (spec.limits as Limits | undefined)?.[name] !== undefined
    if (given) throw containerLimit(name)
  }
  return beginLaunch(whole, options, identity)
}

function identify(target: JoinTarget) {
  if (target instanceof ContainedProcess) {
    // The monitor waits for it, so that while it is its child the number is nobody else's.
    const identity = { pid: target.pid, parent: target.monitorPid, startTime: 0 }
    const { enforcedBy, limit = 0 } = target.limits.pids ?? {}
    // a resource limit is of each process, so this one needs it, too
    return enforcedBy === 'userns-rlimit' ? { ...identity, nproc: limit + 1 } : identity
  }
  const { pid, startTime } = target
  check(pid > 0 && pid <= 0x7fffffff && Number.isInteger(pid), '/pid', pid)
  check(startTime > 0 && Number.isSafeInteger(startTime), '/startTime', startTime)
  return { pid, parent: 0, startTime }
}

function containerLimit(name: string): PolicyError {
  const pointer = `/limits/${name}`
  const message = `invalid spec: ${pointer}: is for the container as a whole, at its launch`
  return new PolicyError(message, { pointer }, 'ERR_NS_SPEC')
}

function check(valid: boolean, pointer: string, value: unknown): void {
  if (valid) return
  const message = `invalid target: ${pointer}: must be a positive integer, but is ${value}`
  throw new PolicyError(message, { pointer }, 'ERR_NS_SPEC')
}
