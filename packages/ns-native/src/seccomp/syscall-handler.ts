import { constants } from 'node:os'
import { AUDIT_ARCH } from './bpf.ts'
import type { SeccompArch } from './profile.ts'
import { syscallName } from './syscall-table.ts'

/** A system call that waits for an answer: what is in its registers, and nothing of its memory. */
export interface SyscallRequest {
  /** Its name; its number as text where it has none. */
  syscall: string
  number: number
  /**
   * The six registers. What is a pointer must not be followed: what lies there may be another thing
   * by the time that the kernel looks.
   */
  args: readonly bigint[]
  /** Of the thread, as this process sees it. */
  pid: number
  arch: SeccompArch | 'other'
}

/** What becomes of it. */
export type SyscallAnswer =
  /** It fails: a name such as `'EACCES'`, or a number from 1 to 4095. */
  | { errno: string | number }
  /** It is as good as done and returns this. */
  | { value: number | bigint }
  /**
   * The kernel does it. For decisions about register values alone: they cannot change while the
   * thread waits, whereas memory, and what a descriptor stands for, can.
   */
  | { continueByRegisters: true }

/** Decides about calls for which a filter says `SCMP_ACT_NOTIFY`. What it throws means EPERM. */
export type SyscallHandler = (call: SyscallRequest) => SyscallAnswer | Promise<SyscallAnswer>

/** A call as the monitor tells of it. */
export interface SyscallEvent {
  type: 'syscall'
  id: bigint
  pid: number
  arch: number
  number: number
  args: readonly bigint[]
}

/** What the monitor is to answer. */
export interface WireAnswer {
  id: bigint
  value: bigint
  errno: number
  proceed: boolean
}

const EPERM = 1
const ERRNO_MAX = 4095
const ARCHES: readonly SeccompArch[] = ['x64', 'arm64']

/** Ask the handler. Never rejects: what goes wrong is a refusal. */
export async function answerSyscall(
  handler: SyscallHandler,
  event: SyscallEvent,
): Promise<WireAnswer> {
  const { id } = event
  try {
    return wireAnswer(id, await handler(requestOf(event)))
  } catch {
    return refusal(id)
  }
}

function requestOf({ arch: audit, number, args, pid }: SyscallEvent): SyscallRequest {
  const arch = ARCHES.find((known) => AUDIT_ARCH[known] === audit) ?? 'other'
  const name = arch === 'other' ? undefined : syscallName(arch, number)
  return { syscall: name ?? String(number), number, args, pid, arch }
}

function wireAnswer(id: bigint, answer: SyscallAnswer): WireAnswer {
  const given = { id, value: 0n, errno: 0, proceed: false }
  if ('errno' in answer) return { ...given, errno: errnoOf(answer.errno) }
  if ('value' in answer) return { ...given, value: BigInt.asIntN(64, BigInt(answer.value)) }
  return answer.continueByRegisters === true ? { ...given, proceed: true } : refusal(id)
}

function errnoOf(errno: string | number): number {
  const numbers: Record<string, number> = constants.errno
  const number = typeof errno === 'string' ? numbers[errno] : errno
  const valid =
    number !== undefined && Number.isInteger(number) && number > 0 && number <= ERRNO_MAX
  return valid ? number : EPERM
}

function refusal(id: bigint): WireAnswer {
  return { id, value: 0n, errno: EPERM, proceed: false }
}
