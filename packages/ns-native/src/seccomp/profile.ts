/**
 * Which system calls a process may make, as docker's JSON profiles and the OCI runtime
 * specification's `linux.seccomp` say it: what `JSON.parse` gives of either.
 *
 * Where rules of one call overlap, the answer is that of libseccomp, by which docker, podman, runc
 * and crun enforce them: a rule without `args` beats those that have some, and of several without
 * the first counts; among rules with `args` it is not their order that counts but libseccomp's own.
 */
export interface SeccompProfile {
  /** For system calls that no rule matches. */
  defaultAction: SeccompAction
  /** The errno of `SCMP_ACT_ERRNO` or `SCMP_ACT_TRACE` as default action; EPERM unless given. */
  defaultErrnoRet?: number | null
  /** The same by name, as podman writes it; it comes first. */
  defaultErrno?: string
  /** OCI: the architectures beside the process's own; nothing but the own one is ever allowed. */
  architectures?: readonly string[] | null
  /** docker: the same, by the process's own one. */
  archMap?: readonly { architecture: string; subArchitectures?: readonly string[] | null }[] | null
  /** OCI: only those that change nothing here are taken, `SECCOMP_FILTER_FLAG_TSYNC` and `…_WAIT_KILLABLE_RECV`. */
  flags?: readonly string[] | null
  /** OCI: refused, as is listenerMetadata. Calls with `SCMP_ACT_NOTIFY` go to `onSyscall` of `launch`. */
  listenerPath?: string
  listenerMetadata?: string
  syscalls?: readonly SeccompRule[] | null
}

/** One decision for some system calls. */
export interface SeccompRule {
  names?: readonly string[]
  /** docker: a single name, in place of `names`. */
  name?: string
  action: SeccompAction
  /** The errno of `SCMP_ACT_ERRNO`, the data of `SCMP_ACT_TRACE`; EPERM unless given. */
  errnoRet?: number | null
  /** The same by name, as podman writes it; it comes first. */
  errno?: string
  /** All must hold; but of several for one argument, and then of all, one is enough (as in runc). */
  args?: readonly SeccompArg[] | null
  comment?: string
  /** docker: the rule is there only where all of this is so. */
  includes?: SeccompCondition | null
  /** docker: the rule is not there where any of this is so. */
  excludes?: SeccompCondition | null
}

/** docker: when a rule counts. */
export interface SeccompCondition {
  /** In the bounding set. */
  caps?: readonly string[] | null
  /** Go's names: `amd64`, `arm64`. */
  arches?: readonly string[] | null
  /** Such as `4.8`. */
  minKernel?: string | null
}

/** A comparison with one argument. */
export interface SeccompArg {
  index: number
  /** Unsigned, 64 bits; a number that is no safe integer is refused, a bigint is exact. */
  value: number | bigint
  /** With `SCMP_CMP_MASKED_EQ`: what the argument must be after masking with `value`. */
  valueTwo?: number | bigint | null
  op: SeccompOperator
}

/** What happens to a call. */
export type SeccompAction =
  | 'SCMP_ACT_ALLOW'
  | 'SCMP_ACT_ERRNO'
  /** libseccomp's older name of `SCMP_ACT_KILL_THREAD`. */
  | 'SCMP_ACT_KILL'
  | 'SCMP_ACT_KILL_PROCESS'
  | 'SCMP_ACT_KILL_THREAD'
  | 'SCMP_ACT_TRAP'
  | 'SCMP_ACT_TRACE'
  | 'SCMP_ACT_LOG'
  | 'SCMP_ACT_NOTIFY'

/** How an argument is compared, as an unsigned 64-bit number. */
export type SeccompOperator =
  | 'SCMP_CMP_EQ'
  | 'SCMP_CMP_NE'
  | 'SCMP_CMP_LT'
  | 'SCMP_CMP_LE'
  | 'SCMP_CMP_GT'
  | 'SCMP_CMP_GE'
  | 'SCMP_CMP_MASKED_EQ'

/** The architectures a program can be compiled for, in Node's words. */
export type SeccompArch = 'x64' | 'arm64'
