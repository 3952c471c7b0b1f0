import type { ProxyPolicyOptions } from '../network/proxy-policy.ts'
import type { SeccompProfile } from '../seccomp/profile.ts'
import type { SyscallHandler } from '../seccomp/syscall-handler.ts'
import type { Duration, Size } from './quantities.ts'

/** What a program may see, reach and use. Everything that is not named, it may not. */
export interface Policy {
  /** Start from a preset: each group given here (`files`, `limits`, …) is laid over the preset's, key by key. */
  preset?: PresetName
  /** The host's installed programs, read-only (/usr and what belongs to it, and the running Node). Default true. */
  system?: boolean
  files?: FilePolicy
  /** Default: `{ mode: 'none' }`. */
  net?: NetPolicy
  limits?: LimitPolicy
  env?: EnvPolicy
  /** Where programs start, inside. Default: the caller's directory where it is visible, else /tmp. */
  cwd?: PathLike
  /** As for `spawn`: whose ids exist inside. Default `'single'`. */
  idMapping?: 'single' | 'ranges' | 'auto'
  /** `CAP_…` names. Default none: id 0 inside is root by name only. */
  capabilities?: readonly string[]
  /** The system call filter, as for `spawn`. Default `'default'`. */
  seccomp?: 'default' | 'none' | SeccompProfile | Uint8Array
  /** Allow user namespaces, and with them mounts, inside: where most holes of the kernel begin. Default false. */
  nestedNamespaces?: boolean
  /** Decides about the calls for which `seccomp` says SCMP_ACT_NOTIFY; whoever makes one waits for it. */
  onSyscall?: SyscallHandler
  /** With a single id: calls that need more ids are answered as if root had them, so that `apt-get install` works. */
  rootEmulation?: boolean
  /**
   * `'landlock'`: no namespaces at all, for hosts that forbid them: the caller's own files and
   * network, restricted by Landlock. Default `'namespaces'`.
   */
  isolation?: 'namespaces' | 'landlock'
  hostname?: string
  /** Default true: nothing gains privileges by executing a set-user-ID program. */
  noNewPrivileges?: boolean
  /** What may be missing where this host cannot enforce it; anything else that is missing is an error. */
  allowDegraded?: readonly Degradable[]
}

/** A path: absolute, relative to the caller's directory, below `~`, or a `file:` URL. */
export type PathLike = string | URL

/**
 * Files of the host, by paths that are the same inside. Where two of these say something about
 * a path, the longer path decides, whatever the order they are written in.
 */
export interface FilePolicy {
  /** Visible. They must exist. */
  readOnly?: readonly PathLike[]
  /** Visible and writable: what is written is written on the host. They must exist. */
  readWrite?: readonly PathLike[]
  /** Directories that seem writable: what is written stays in the sandbox, for `changes`, `commit` and `discard`. */
  overlay?: readonly PathLike[]
  /** Empty, writable, and gone with the process. Default `['/tmp']`. */
  scratch?: readonly (PathLike | { path: PathLike; size: Size })[]
  /** Unreadable and unwritable where they would be visible. Paths or patterns, looked up anew each time a program starts. */
  hide?: readonly PathLike[]
  /** Read-only where they would be writable. Paths or patterns, like `hide`. */
  protect?: readonly PathLike[]
}

/** How a program reaches others. */
export type NetPolicy =
  /** A loopback of its own and nothing else. */
  | { mode: 'none' }
  /** The caller's network, its loopback and abstract sockets included. */
  | { mode: 'host' }
  /** The network namespace at this path, such as `/proc/PID/ns/net`. */
  | { mode: 'join'; path: string }
  /** All of the Internet and the local network, but not the host's loopback, through that program of the host. */
  | { mode: 'pasta' | 'slirp4netns' }
  /** An HTTP and SOCKS proxy in this process is the only way out: it asks the lists, then `onRequest`, for each request. */
  | ({ mode: 'proxied' } & ProxyPolicyOptions)

/** The most that may be used. */
export interface LimitPolicy {
  /** Of everything inside together. */
  memory?: Size
  /** Processors' worth of time, such as 1.5. */
  cpus?: number
  /** Processes and threads at once. */
  pids?: number
  /** From the program's start to its end. */
  wall?: Duration
  /** Processor time of everything inside together. */
  cpu?: Duration
  /** stdout and stderr together. */
  output?: Size
}

/** The environment. PATH, HOME (/tmp), and nothing else unless named. */
export interface EnvPolicy {
  /** Names of variables that are taken from the caller, where it has them. */
  pass?: readonly string[]
  set?: Readonly<Record<string, string>>
}

/** A control that can be given up by name. */
export type Degradable = (typeof DEGRADABLE)[number]

/** All that `allowDegraded` knows. */
export const DEGRADABLE = [
  'limits.memory',
  'limits.cpus',
  'limits.pids',
  'limits.wall',
  'limits.cpu',
  'limits.output',
  // Landlock knows of TCP alone: without a network namespace, datagrams go out
  'net.udp',
  // Linux before 6.12 keeps nobody from abstract sockets and signals
  'landlock.scope',
] as const

/** The presets' names. */
export type PresetName = 'strict' | 'agent' | 'build' | 'test' | 'container' | 'landlock'
