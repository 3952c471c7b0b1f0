/** How much a container may use; what is left out is not limited. */
export interface Limits {
  /** Of everything inside together, page cache and tmpfs included where a cgroup holds it. */
  memoryBytes?: number
  /** Memory and swap together; by default `memoryBytes`, so no swap. Needs `memoryBytes`. */
  memorySwapBytes?: number
  /** Processors' worth of time, such as 1.5; at least 0.01. */
  cpus?: number
  /** Processes and threads at once, the program's own included; at least 1. */
  pids?: number
  io?: readonly IoLimit[]
  /** Milliseconds from the start of the program. */
  wallMs?: number
  /** Milliseconds of processor time of everything inside together, user and system. */
  cpuMs?: number
  /** Bytes of stdout and stderr together; what goes beyond is not delivered. */
  outputBytes?: number
}

/** Transfer to and from one block device, per second. */
export interface IoLimit {
  /** `major:minor` */
  device: string
  readBytes?: number
  writeBytes?: number
  readOperations?: number
  writeOperations?: number
}

/** Where the container's control group is to be; every limit on memory, cpus, pids and io wants one. */
export interface CgroupSpec {
  /**
   * Absolute path of a group that was given to this process (delegated); the container's is made
   * in it. By default the nearest one that is found, or one from systemd.
   */
  parent?: string
  /** Of the new group; by default one that no other launch has. */
  name?: string
}

/** What a limit is called in `allowDegraded`, in what is in force, and in errors. */
export type LimitName = 'memory' | 'cpus' | 'pids' | 'io' | 'wall' | 'cpu' | 'output'

/**
 * Who holds a limit. `cgroup2`, `cgroup1`: the kernel's control groups; `systemd`: a group of
 * version 2 that came from systemd; `userns-rlimit`: RLIMIT_NPROC of the container's own user
 * namespace; `affinity`: a set of processors, which a program can change for itself unless its
 * seccomp filter says no; `watchdog`: the monitor looks every 20 ms and kills; `monitor`: the monitor's
 * clock, or what passes through it.
 */
export type Enforcer =
  | 'cgroup2'
  | 'systemd'
  | 'cgroup1'
  | 'userns-rlimit'
  | 'affinity'
  | 'watchdog'
  | 'monitor'

/** A limit that is in force; `enforcedBy` null: it is not, as `allowDegraded` allowed. */
export interface EffectiveLimit {
  enforcedBy: Enforcer | null
  /** As asked for: bytes, processors, processes, milliseconds; absent for `io`. */
  limit?: number
  /** It does not hold as exactly as was asked for, as `allowDegraded` allowed; `note` says how. */
  degraded?: true
  note?: string
}

/** What is in force, by name; only what was asked for is in it. */
export type EffectiveLimits = { [name in LimitName]?: EffectiveLimit }

/** Why a program ended. */
export type ExitReason =
  /** By itself. */
  | 'exit'
  /** By a signal, whoever sent it. */
  | 'signal'
  /** It met the limit of this name. */
  | 'wall'
  | 'cpu'
  | 'memory'
  | 'pids'
  | 'output'
  /** Its seccomp filter killed it (SIGSYS). */
  | 'seccomp'
  /** The AbortSignal of `launch`. */
  | 'abort'
  /** Who launched it is gone, and had not detached it. */
  | 'parent-gone'
