import { AUDIT_ARCH, BPF, INSTRUCTION_BYTES, SECCOMP_DATA, SECCOMP_RETURN } from './bpf.ts'
import type { SeccompAction } from './profile.ts'
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

/** What a program answers to a call. */
export type SeccompVerdict =
  | { action: Exclude<SeccompAction, 'SCMP_ACT_ERRNO'> }
  | { action: 'SCMP_ACT_ERRNO'; errnoRet: number }

/**
 * What happens to a call under a seccomp program.
 *
 * Knows the instructions that our compiler emits, and no others.
 *
 * @throws TypeError when the call has no such name on its architecture, or the program is none
 */
export function interpretSeccomp(program: Uint8Array, call: SeccompCall): SeccompVerdict {
  const data = seccompData(call)
  const code = new DataView(program.buffer, program.byteOffset, program.byteLength)
  let accumulator = 0
  for (let at = 0; (at + 1) * INSTRUCTION_BYTES <= program.byteLength; at++) {
    const offset = at * INSTRUCTION_BYTES
    const k = code.getUint32(offset + 4, true)
    const jump = (holds: boolean) => code.getUint8(offset + (holds ? 2 : 3))
    const operation = code.getUint16(offset, true)
    switch (operation) {
      case BPF.LOAD:
        accumulator = data.getUint32(k, true)
        break
      case BPF.AND:
        accumulator = (accumulator & k) >>> 0
        break
      case BPF.JUMP:
        at += k
        break
      case BPF.IF_EQUAL:
        at += jump(accumulator === k)
        break
      case BPF.IF_GREATER:
        at += jump(accumulator > k)
        break
      case BPF.IF_GREATER_OR_EQUAL:
        at += jump(accumulator >= k)
        break
      case BPF.RETURN:
        return verdictOf(k)
      default:
        throw new TypeError(`expected a seccomp program but received operation ${operation}`)
    }
  }
  throw new TypeError('expected a seccomp program but received one that does not return')
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

function verdictOf(value: number): SeccompVerdict {
  const errno = (value & 0xffff) >>> 0
  const returned = (value & ~0xffff) >>> 0
  for (const [action, expected] of Object.entries(SECCOMP_RETURN)) {
    if (expected !== returned) continue
    if (action === 'SCMP_ACT_ERRNO') return { action, errnoRet: errno }
    // Object.entries widens the keys to string; they are the actions
    return { action: action as Exclude<SeccompAction, 'SCMP_ACT_ERRNO'> }
  }
  throw new TypeError(`expected a seccomp action but received 0x${value.toString(16)}`)
}
