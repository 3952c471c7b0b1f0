/**
 * Which system calls a process may make, in the words of the OCI runtime specification
 * (`linux.seccomp`), reduced to what {@link compileSeccomp} takes.
 */
export interface SeccompProfile {
  /** For system calls that no rule matches. */
  defaultAction: SeccompAction
  /** The errno of `SCMP_ACT_ERRNO` as default action; EPERM unless given. */
  defaultErrnoRet?: number
  /** The first rule that names the call and whose arguments match decides. */
  syscalls: readonly SeccompRule[]
}

/** What happens to a call. */
export type SeccompAction =
  | 'SCMP_ACT_ALLOW'
  | 'SCMP_ACT_ERRNO'
  | 'SCMP_ACT_KILL_PROCESS'
  | 'SCMP_ACT_KILL_THREAD'
  | 'SCMP_ACT_TRAP'
  | 'SCMP_ACT_LOG'

/** One decision for some system calls. */
export interface SeccompRule {
  names: readonly string[]
  action: SeccompAction
  /** The errno of `SCMP_ACT_ERRNO`; EPERM unless given. */
  errnoRet?: number
  /** All of them must hold for the rule to match. */
  args?: readonly SeccompArg[]
}

/** A comparison with one argument; values are unsigned and at most 2^53 - 1. */
export interface SeccompArg {
  index: 0 | 1 | 2 | 3 | 4 | 5
  value: number
  /** With `SCMP_CMP_MASKED_EQ`: what the argument must be after masking with `value`. */
  valueTwo?: number
  op: SeccompOperator
}

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
