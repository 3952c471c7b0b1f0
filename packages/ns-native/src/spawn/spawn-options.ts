import type {
  IdMappingPlan,
  LaunchSpec,
  NamespaceType,
  ProcessSpec,
  RootSpec,
} from '../launch-spec.ts'
import type { SeccompProfile } from '../seccomp/profile.ts'
import type { SyscallHandler } from '../seccomp/syscall-handler.ts'
import type { StdioOptions } from './stdio.ts'

/**
 * `child_process.spawn`'s options, with its names and meanings, then those of the kernel, with the
 * names of {@link LaunchSpec}. Nothing is inherited that is not named here.
 */
export interface SpawnOptions extends ChildOptions, Mechanisms {
  /** Which namespaces are new, the caller's, or others that exist (`/proc/PID/ns/net`). Default: all new but `time`. */
  namespaces?: Readonly<Partial<Record<NamespaceType, 'new' | 'host' | { join: string }>>>
  /**
   * Whose ids exist inside. `'single'` (the default): the caller's own, as id 0. `'ranges'`: those
   * of /etc/subuid too, or all of root's; UnsupportedError where there are none. `'auto'`: ranges
   * where there are, else single.
   */
  idMapping?: 'single' | 'ranges' | 'auto' | IdMappingPlan
  /**
   * The root directory. `'system'` (the default): an empty one with this machine's /usr, what
   * belongs to it and a little of /etc, read-only, and with a /proc, /dev and /tmp of its own.
   * `'host'`: the caller's root, nothing changed. Or a directory or overlay.
   */
  root?: 'system' | 'host' | RootSpec
  /** `'default'`: containers' usual filter. `'none'`. A profile as docker and OCI have them, or a BPF program. */
  seccomp?: 'default' | 'none' | SeccompProfile | Uint8Array
  /** Allow user namespaces, and with them mounts, inside: where most holes of the kernel begin. Default false. */
  nestedNamespaces?: boolean
  /** Decides about the calls for which `seccomp` says SCMP_ACT_NOTIFY; whoever makes one waits for it. */
  onSyscall?: SyscallHandler
  /** How long it may take to; EPERM after that. Default 10,000. */
  syscallTimeoutMs?: number
  /** A pseudo-terminal as stdin, stdout and stderr: what is typed goes to `stdin`, `stdout` is the screen. */
  pty?: { columns: number; rows: number }
}

/** What `child_process.spawn` has, too. */
export interface ChildOptions {
  /** Inside. Default `/`. */
  cwd?: string | URL
  /** Unlike `child_process`, nothing is inherited: the default is a PATH and a HOME. */
  env?: Readonly<Record<string, string | undefined>>
  stdio?: StdioOptions
  /** Ends it, by `killSignal`; `error` is emitted with an AbortError. */
  signal?: AbortSignal
  /** What `signal` sends. Default SIGKILL, which nothing inside can refuse. */
  killSignal?: NodeJS.Signals | number
  /** User and group inside. Default 0: the caller, without capabilities. */
  uid?: number
  gid?: number
  /** How many milliseconds it may take: the limit `wallMs`, which holds even when this process is stuck. */
  timeout?: number
  /** It outlives this process from its start on. */
  detached?: boolean
  /** Collect stdout and stderr for `result`, each up to so many bytes; more is read and dropped. Default: not. */
  collectBytes?: number
}

/** Options that leave all three streams to be pipes. */
export type WithPipes<Options extends Pick<SpawnOptions, 'stdio' | 'pty'>> = Options & {
  stdio?: 'pipe' | 'overlapped'
  pty?: never
}

/** Everything else that the helper can do. */
type Mechanisms = Partial<
  Omit<LaunchSpec, 'namespaces' | 'idMapping' | 'root' | 'process'> &
    Omit<ProcessSpec, 'args' | 'env' | 'cwd' | 'uid' | 'gid' | 'seccomp' | 'terminal'>
>
