import type { LandlockSpec } from './landlock-rights.ts'
import type { CgroupSpec, LimitName, Limits } from './limits.ts'
import type { RlimitType } from './rlimit-types.ts'

/**
 * What `cromwell-init` is to do, as data.
 *
 * Names are those of the OCI runtime specification and of Linux man pages. Policy ends here:
 * whoever writes a spec has decided everything, the helper only carries it out in a fixed order.
 */
export interface LaunchSpec {
  /** Namespaces to create; those not named stay the caller's. All but `user` need `user` unless privileged. */
  namespaces: readonly NamespaceType[]
  /**
   * Existing namespaces to be in, by a path such as `/proc/123/ns/net`, opened with the caller's
   * rights. A type is either created or joined. In a joined pid namespace the program is not PID 1,
   * and processes that it leaves behind stay; in a joined mount namespace nothing can be mounted.
   */
  joinNamespaces?: Partial<Record<NamespaceType, string>>
  /** What clocks show beyond the host's; needs the `time` namespace. Linux 5.6. */
  timeOffsets?: { monotonic?: TimeOffset; boottime?: TimeOffset }
  /** How ids inside correspond to ids outside; needed exactly when `user` is created. */
  idMapping?: IdMappingPlan
  /** At most 64 bytes; needs the `uts` namespace. */
  hostname?: string
  /** The NIS domain name, at most 64 bytes; needs the `uts` namespace. */
  domainname?: string
  /** How many user namespaces may exist below the new one (`user.max_user_namespaces`): 0 forbids them. */
  maxUserNamespaces?: number
  /** The new root; left out, the caller's root stays. Needs the `mount` namespace. */
  root?: RootSpec
  /** Carried out in this order, inside the new root. */
  mounts: readonly Mount[]
  /** Absolute paths inside: files are covered by /dev/null, directories by an empty read-only tmpfs; missing ones are skipped. */
  maskedPaths: readonly string[]
  /** Absolute paths inside that become read-only; missing ones are skipped. */
  readonlyPaths: readonly string[]
  process: ProcessSpec
  monitor?: MonitorSpec
  /** Sockets inside that are served by this process; needs a `network` namespace. */
  network?: NetworkSpec
  /** How much it may use. A limit that nothing here can hold is an error, unless `allowDegraded` names it. */
  limits?: Limits
  /** A control group of its own, even without a limit that needs one: to pause, to kill at once, to measure. */
  cgroup?: CgroupSpec
  /** What may hold less exactly than asked for, or not at all; what came of it is said in the effective limits. */
  allowDegraded?: readonly LimitName[]
}

/** What of the container's network is in this process's hands. */
export interface NetworkSpec {
  /**
   * TCP sockets that listen inside before the program starts, so that it never comes too early.
   * They are `network.listeners` of the ContainedProcess, in this order.
   */
  listen?: readonly InnerAddress[]
  /** A way to the host's network through a program of the host; the default is none. */
  uplink?: UplinkSpec
}

/** A program that carries packets between a TAP device inside and sockets of the caller. */
export interface UplinkSpec {
  program: 'pasta' | 'slirp4netns'
  /** Absolute; the default is looked for in /usr/local/bin, /usr/bin and /bin. */
  path?: string
  /** Let the container reach what listens on the host's loopback, by the gateway's address. Default false. */
  hostLoopback?: boolean
}

/** An address inside. */
export interface InnerAddress {
  /** An IP address; the default is 127.0.0.1. */
  host?: string
  /** To listen, 0 is any free one. */
  port: number
}

/** The namespace types of the OCI runtime specification (`network`, not `net`). */
export type NamespaceType = 'user' | 'mount' | 'pid' | 'network' | 'ipc' | 'uts' | 'cgroup' | 'time'

/** Seconds, which may be negative, and nanoseconds to add to a clock, time_namespaces(7). */
export interface TimeOffset {
  secs: number
  nanosecs?: number
}

/** One line of `/proc/PID/uid_map`, in the OCI runtime specification's words. */
export interface IdMapping {
  containerID: number
  hostID: number
  size: number
}

/** A chosen id mapping and how it gets written. */
export interface IdMappingPlan {
  /** `identity`: root's own ids; `subid`: the caller plus ranges of /etc/subuid; `single`: the caller as id 0, nothing else. */
  kind: 'identity' | 'subid' | 'single'
  uidMappings: readonly IdMapping[]
  gidMappings: readonly IdMapping[]
  /** Short and stable, fit for a directory name: equal keys mean equal mappings. */
  key: string
  /** Absolute paths of the setuid helpers; given exactly when `kind` is `subid`. */
  newuidmap?: string
  newgidmap?: string
}

/** Where the new root comes from. */
export type RootSpec = DirectoryRoot | TmpfsRoot

/** A root that is a directory of the host, or an overlay of several. */
export interface DirectoryRoot {
  /** An existing directory: the root itself, or the mount point of `overlay`. Absolute. */
  path: string
  overlay?: OverlaySpec
  /** Make the root mount read-only once everything is mounted. */
  readonly?: boolean
  tmpfs?: undefined
}

/** A root of nothing: an empty tmpfs in which the mounts are made. No directory of the host is needed. */
export interface TmpfsRoot {
  /** `mode` is 0o755 unless given, `sizeBytes` half of the memory. */
  tmpfs: { sizeBytes?: number; mode?: number }
  readonly?: boolean
  path?: undefined
  overlay?: undefined
}

/** An overlay mount (always with `userxattr`). */
export interface OverlaySpec {
  /** Base first, top last (the reverse of the mount option). Absolute. */
  lowerDirs: readonly string[]
  upperDir: string
  workDir: string
  /** Never sync the upper directory: for containers that are thrown away. Linux 5.10. */
  volatile?: boolean
}

/** Flags that every mount kind takes; all off unless given. */
export interface MountFlags {
  readonly?: boolean
  nosuid?: boolean
  nodev?: boolean
  noexec?: boolean
}

/** One mount; `destination` is resolved inside the root, and created when missing. */
export type Mount =
  /**
   * A directory or file of the host, with everything mounted below it unless `recursive` is false.
   * (A user namespace may not leave out what is mounted below: EINVAL, where there is something.)
   * `readonly` is for what is mounted below, too.
   */
  | (MountFlags & {
      type: 'bind'
      source: string
      destination: string
      recursive?: boolean
      /** Let the host's cgroup tree be written to through this bind of /sys or a part of it (CVE-2023-25809). */
      hostCgroups?: boolean
    })
  | (MountFlags & { type: 'tmpfs'; destination: string; sizeBytes?: number; mode?: number })
  /** An overlay beside the root's own. */
  | (MountFlags & OverlaySpec & { type: 'overlay'; destination: string })
  | (MountFlags & { type: 'proc'; destination: string })
  /** A fresh sysfs; the kernel wants an own `network` namespace for it. */
  | (MountFlags & { type: 'sysfs'; destination: string })
  | (MountFlags & { type: 'mqueue'; destination: string })
  /** A fresh cgroup2; wants an own `cgroup` namespace and a cgroup v2 host. */
  | (MountFlags & { type: 'cgroup'; destination: string })
  /** A minimal /dev: tmpfs with null zero full random urandom tty, the usual links, pts, shm, mqueue (the last with an own `ipc` namespace). */
  | { type: 'dev'; destination: '/dev'; shmSizeBytes?: number }
  /** Pseudo-terminals of its own, with a ptmx; `dev` has them already. */
  | (MountFlags & { type: 'devpts'; destination: string })
  /**
   * A file with this content and nothing else behind it: it never touches the host's disk. Read-only
   * unless `readonly` is false; what is then written is lost. Up to 16 MB with all of the spec. `mode` is 0o644 unless given.
   */
  | (MountFlags & {
      type: 'file'
      destination: string
      content: string | Uint8Array
      mode?: number
    })
  /** A symbolic link (made in the root, not mounted). One that says the same may be there, nothing else. */
  | { type: 'symlink'; destination: string; target: string }

/** The contained process itself. */
export interface ProcessSpec {
  /** argv; the first is looked up on the PATH of `env`, inside, when it has no slash. */
  args: readonly string[]
  /** `KEY=value`; nothing else reaches the process. */
  env: readonly string[]
  /** Absolute, inside; created (as root) when missing. */
  cwd: string
  /** Ids inside. */
  uid: number
  gid: number
  additionalGids: readonly number[]
  /** Octal value such as 0o022. */
  umask: number
  /** Give it a pseudo-terminal of the container's own devpts as stdio and controlling terminal. */
  terminal?: { columns: number; rows: number }
  /** `CAP_…` names kept in the bounding set; effective and permitted too when uid is 0. */
  capabilities: readonly string[]
  noNewPrivileges: boolean
  /**
   * `CAP_…` names, of `capabilities`, that the program keeps although its user is not root. They are
   * inheritable and ambient, as the kernel wants it.
   */
  ambientCapabilities?: readonly string[]
  /** Resource limits, getrlimit(2); those not named are the caller's. Only root can raise a hard limit. */
  rlimits?: readonly Rlimit[]
  /** -1000 to 1000; only root can go below its own. Left out: the caller's, but never negative. */
  oomScoreAdj?: number
  /** -20 to 19; only root can go below its own. Left out: the caller's, but never negative. */
  nice?: number
  /** I/O scheduling class and, within it, priority 0 (first) to 7. Left out: it follows the nice value. */
  ioPriority?: IoPriority
  /** Numbers of the processors to run on. Left out: all of the cpuset, whatever the caller is tied to. */
  affinity?: readonly number[]
  /** False stays in the caller's session keyring. Default true: a new, empty one. */
  keyring?: boolean
  /** What Landlock allows of what everything else allows; needs `noNewPrivileges`. */
  landlock?: LandlockSpec
  /** A loaded AppArmor profile to run under. */
  apparmorProfile?: string
  /** An SELinux label to run under. */
  selinuxLabel?: string
  /** A classic BPF program for SECCOMP_SET_MODE_FILTER: 8-byte `struct sock_filter`s. */
  seccomp?: Uint8Array
  /**
   * Where root inside is the only id that there is: answer calls for which root would need more ids
   * as if it had them, so that `apt-get install`, `useradd` and `su` work. Files may be given to
   * anybody, which is said to be done; devices may be made, likewise; and programs may become another
   * user, whom `getuid` and its kin then confirm, to them and to what they start, while the kernel
   * still takes them for root. It protects nothing. Needs `noNewPrivileges`, uid 0 and, unless it
   * joins a container, an idMapping of one user and one group.
   */
  rootEmulation?: boolean
}

/** What the monitor (the process outside that waits for the container) looks after. */
export interface MonitorSpec {
  /** Append stdout and stderr to this file, in the CRI log format (`time stream F|P line`). */
  logPath?: string
  /** Written (temp, fsync, rename) when the container has ended: `exit-code=`, `signal=`, `finished-at=` lines. */
  exitPath?: string
  /**
   * A unix socket of this name, mode 0600, for `attach`; its directory must belong to the caller and
   * be writable for nobody else. Gone when the container has ended.
   */
  attachPath?: string
  /** Removed after that, recursively, with the container's own ids, never following links. */
  removeOnExit?: readonly string[]
}

/** A resource limit, in the OCI runtime specification's words. */
export interface Rlimit {
  /** Such as `RLIMIT_NOFILE`. */
  type: RlimitType
  soft: number | 'infinity'
  hard: number | 'infinity'
}

/** An I/O priority, ioprio_set(2). */
export interface IoPriority {
  class: 'IOPRIO_CLASS_RT' | 'IOPRIO_CLASS_BE' | 'IOPRIO_CLASS_IDLE'
  priority: number
}
