import { AUDIT_ARCH, SECCOMP_DATA, SECCOMP_RETURN } from './bpf.ts'
import type { SeccompAction } from './profile.ts'
import { runBpf } from './run-bpf.ts'
import { syscallNumbers } from './syscall-table.ts'

/** A system call as a seccomp program sees it. */
export interface SeccompCall {
  /** Whose calling convention is used, in Node's words; the 32-bit ones have no names here. */
  arch: keyof typeof AUDIT_ARCH
  /** A name, or a number of that architecture. */
  syscall: string | number
  /** Up to six registers, as unsigned 64-bit numbers; 0 where not given. */
  args?: readonly bigint[]
}

type ActionWithData = 'SCMP_ACT_ERRNO' | 'SCMP_ACT_TRACE'

/** What a program answers to a call; with SCMP_ACT_TRACE `errnoRet` is what the tracer gets to see. */
export type SeccompVerdict =
  | { action: Exclude<SeccompAction, 'SCMP_ACT_KILL' | ActionWithData> }
  | { action: ActionWithData; errnoRet: number }

/**
 * What happens to a call under a seccomp program: any program that the kernel takes, whoever made
 * it.
 *
 * @throws TypeError when the call has no such name on its architecture, or the kernel would not
 * take the program
 */
export function interpretSeccomp(program: Uint8Array, call: SeccompCall): SeccompVerdict {
  return verdictOf(runBpf(program, seccompData(call)))
}

function seccompData({ arch, syscall, args = [] }: SeccompCall): DataView {
  const data = new DataView(new ArrayBuffer(SECCOMP_DATA.SIZE))
  data.setUint32(SECCOMP_DATA.NUMBER, numberOf(arch, syscall), true)
  data.setUint32(SECCOMP_DATA.ARCH, AUDIT_ARCH[arch], true)
  for (const [index, value] of args.entries()) {
    data.setBigUint64(SECCOMP_DATA.ARGS + 8 * index, value, true)
  }
  return data
}

function numberOf(arch: SeccompCall['arch'], syscall: string | number): number {
  if (typeof syscall === 'number') return syscall
  const number = arch === 'x64' || arch === 'arm64' ? syscallNumbers(arch).get(syscall) : undefined
  if (number === undefined) {
    throw new TypeError(`expected a system call of ${arch} but received ${syscall}`)
  }
  return number
}

const ERRNO_MAX = 4095

function verdictOf(value: number): SeccompVerdict {
  const data = value & 0xffff
  switch ((value & ~0xffff) >>> 0) {
    case SECCOMP_RETURN.SCMP_ACT_ALLOW:
      return { action: 'SCMP_ACT_ALLOW' }
    case SECCOMP_RETURN.SCMP_ACT_LOG:
      return { action: 'SCMP_ACT_LOG' }
    case SECCOMP_RETURN.SCMP_ACT_TRACE:
      return { action: 'SCMP_ACT_TRACE', errnoRet: data }
    case SECCOMP_RETURN.SCMP_ACT_NOTIFY:
      return { action: 'SCMP_ACT_NOTIFY' }
    case SECCOMP_RETURN.SCMP_ACT_ERRNO:
      return { action: 'SCMP_ACT_ERRNO', errnoRet: Math.min(data, ERRNO_MAX) }
    case SECCOMP_RETURN.SCMP_ACT_TRAP:
      return { action: 'SCMP_ACT_TRAP' }
    case SECCOMP_RETURN.SCMP_ACT_KILL_THREAD:
      return { action: 'SCMP_ACT_KILL_THREAD' }
    default: // what the kernel does not know, too
      return { action: 'SCMP_ACT_KILL_PROCESS' }
  }
}
