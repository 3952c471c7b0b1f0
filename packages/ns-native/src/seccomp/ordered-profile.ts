import type { SeccompAction, SeccompOperator } from './profile.ts'

/** What happens to a call: those actions that our own profiles need. */
export type OrderedAction = Exclude<
  SeccompAction,
  'SCMP_ACT_KILL' | 'SCMP_ACT_NOTIFY' | 'SCMP_ACT_TRACE'
>

/**
 * Our own kind of profile, in which the order of the rules decides, as {@link compileOrdered} takes
 * it. Its words are those of the OCI runtime specification; what users write is a `SeccompProfile`.
 */
export interface OrderedProfile {
  /** For system calls that no rule matches. */
  defaultAction: OrderedAction
  /** The errno of `SCMP_ACT_ERRNO` as default action; EPERM unless given. */
  defaultErrnoRet?: number
  /** The first rule that names the call and whose arguments match decides. */
  syscalls: readonly OrderedRule[]
}

/** One decision for some system calls. */
export interface OrderedRule {
  names: readonly string[]
  action: OrderedAction
  /** The errno of `SCMP_ACT_ERRNO`; EPERM unless given. */
  errnoRet?: number
  /** All of them must hold for the rule to match. */
  args?: readonly OrderedArg[]
}

/** A comparison with one argument; values are unsigned and at most 2^53 - 1. */
export interface OrderedArg {
  index: 0 | 1 | 2 | 3 | 4 | 5
  value: number
  /** With `SCMP_CMP_MASKED_EQ`: what the argument must be after masking with `value`. */
  valueTwo?: number
  op: SeccompOperator
}
