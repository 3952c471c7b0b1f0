import { PidstoreError } from './errors.ts'
import { type Host, type HostOptions, readHost } from './host.ts'
import { quote } from './id.ts'
import { hasExited, readProcessStat } from './process-stat.ts'

/** The largest pid a Linux kernel can be told to give out (PID_MAX_LIMIT, proc_sys_kernel(5)). */
export const MAX_PID = 4_194_304

/**
 * Which process is meant, for ever: of the numbers below only all together belong to one process.
 * A pid alone is given to somebody else later; so are all of them, after a reboot, but the boot id.
 */
export interface ProcessIdentity {
  /** The pid as seen in `pidNamespace`. */
  pid: number
  /** Clock ticks (1/100 s) from boot to the start of the process: field 22 of `/proc/<pid>/stat`. */
  startTime: number
  /** Clock ticks that the time namespace of whoever read `startTime` had added to it; mostly 0. */
  timeOffset: number
  /** The kernel's random id of this boot. */
  bootId: string
  /** Inode number of the pid namespace in which `pid` is valid. */
  pidNamespace: number
  /** The machine's name when the identity was read. */
  hostname: string
  /** 32 hex digits derived from machine-id(5), or `''` on a machine without one. */
  machineId: string
}

/**
 * What can be said about a process from here: it runs; it has ended; or only another machine, pid
 * namespace or user can tell.
 */
export type ProcessVerdict =
  | { state: 'running'; reason?: undefined }
  | { state: 'exited'; reason: string }
  | { state: 'elsewhere'; reason: string }

/**
 * The identity of a process of this pid namespace, or undefined when no process has the pid. A
 * zombie still has one. Synchronous. Throws `ERR_PIDSTORE_INVALID_PID`, and `ERR_PIDSTORE_PROC`
 * when /proc is missing or hides the process (`hidepid`).
 */
export function readProcessIdentity(
  pid: number,
  options?: HostOptions,
): ProcessIdentity | undefined {
  assertPid(pid)
  return identify(pid, readHost(options))
}

/**
 * Whether the process of an identity still runs. Synchronous; a zombie has ended. Throws
 * `ERR_PIDSTORE_PROC` when /proc cannot be asked at all.
 */
export function checkProcess(identity: ProcessIdentity, options?: HostOptions): ProcessVerdict {
  assertPid(identity.pid)
  return judge(identity, readHost(options))
}

export function identify(pid: number, host: Host): ProcessIdentity | undefined {
  const stat = readProcessStat(host.procDir, pid)
  if (stat === 'gone') return undefined
  if (stat === 'hidden') {
    throw new PidstoreError(
      'ERR_PIDSTORE_PROC',
      `cannot identify process ${pid}: ${host.procDir} hides it`,
      { pid, path: host.procDir, hint: 'mount /proc without hidepid, or run as its owner' },
    )
  }
  return {
    pid,
    startTime: stat.startTime,
    timeOffset: host.timeOffset,
    bootId: host.bootId,
    pidNamespace: host.pidNamespace,
    hostname: host.hostname,
    machineId: host.machineId,
  }
}

export function judge(identity: ProcessIdentity, host: Host): ProcessVerdict {
  if (identity.bootId !== host.bootId) {
    return isSameMachine(identity, host)
      ? { state: 'exited', reason: 'the machine has been started anew since' }
      : { state: 'elsewhere', reason: `it belongs to the machine ${quote(identity.hostname)}` }
  }
  if (identity.pidNamespace !== host.pidNamespace) {
    return { state: 'elsewhere', reason: 'it belongs to another pid namespace of this machine' }
  }
  const stat = readProcessStat(host.procDir, identity.pid)
  if (stat === 'gone') return { state: 'exited', reason: `no process has pid ${identity.pid}` }
  if (stat === 'hidden') {
    return { state: 'elsewhere', reason: `${host.procDir} hides who has pid ${identity.pid}` }
  }
  if (!startedTogether(identity, { ...stat, timeOffset: host.timeOffset })) {
    return { state: 'exited', reason: `pid ${identity.pid} belongs to a later process` }
  }
  if (hasExited(stat)) return { state: 'exited', reason: 'it is a zombie' }
  return { state: 'running' }
}

/**
 * Wrong in the safe direction. Nodes booted from one image share a machine id, fresh machines share
 * the name "localhost": both must agree before a record of another boot is called dead.
 */
function isSameMachine(identity: ProcessIdentity, host: Host): boolean {
  if (identity.hostname !== host.hostname) return false
  return identity.machineId === host.machineId || identity.machineId === '' || host.machineId === ''
}

interface Start {
  startTime: number
  timeOffset: number
}

/**
 * The kernel adds the offset in nanoseconds and then rounds down to ticks, so two readers with
 * different offsets may be off by less than one tick; with equal offsets this is plain equality.
 */
function startedTogether(a: Start, b: Start): boolean {
  return Math.abs(a.startTime - b.startTime - (a.timeOffset - b.timeOffset)) < 1
}

export function assertPid(pid: unknown): asserts pid is number {
  if (isPid(pid)) return
  throw new PidstoreError(
    'ERR_PIDSTORE_INVALID_PID',
    `cannot record ${quote(pid)} as a pid: it must be a whole number from 1 to ${MAX_PID}`,
  )
}

// 0 and negative numbers mean whole process groups to kill(2).
export function isPid(pid: unknown): pid is number {
  return typeof pid === 'number' && Number.isInteger(pid) && pid >= 1 && pid <= MAX_PID
}
