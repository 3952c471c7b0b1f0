// Classic BPF as seccomp(2) takes it: linux/bpf_common.h, linux/filter.h, linux/seccomp.h.

/** One `struct sock_filter`. */
export interface Instruction {
  code: number
  jt: number
  jf: number
  k: number
}

/** Operation codes, of those that seccomp allows, which our compiler emits. */
export const BPF = {
  /** A = 32 bits at offset k of `struct seccomp_data` */
  LOAD: 0x20,
  /** A &= k */
  AND: 0x54,
  /** pc += k */
  JUMP: 0x05,
  /** pc += A == k ? jt : jf */
  IF_EQUAL: 0x15,
  IF_GREATER: 0x25,
  IF_GREATER_OR_EQUAL: 0x35,
  RETURN: 0x06,
} as const

/** `struct seccomp_data`: where the call's number, architecture and arguments are. */
export const SECCOMP_DATA = { NUMBER: 0, ARCH: 4, ARGS: 16, SIZE: 64 } as const

/** `AUDIT_ARCH_…` of linux/audit.h, by Node's names. */
export const AUDIT_ARCH = {
  x64: 0xc000003e,
  ia32: 0x40000003,
  arm64: 0xc00000b7,
  arm: 0x40000028,
} as const

/** `SECCOMP_RET_…`: the high half says what to do, the low half is data. */
export const SECCOMP_RETURN = {
  SCMP_ACT_KILL_PROCESS: 0x80000000,
  SCMP_ACT_KILL_THREAD: 0x00000000,
  SCMP_ACT_TRAP: 0x00030000,
  SCMP_ACT_ERRNO: 0x00050000,
  SCMP_ACT_NOTIFY: 0x7fc00000,
  SCMP_ACT_TRACE: 0x7ff00000,
  SCMP_ACT_LOG: 0x7ffc0000,
  SCMP_ACT_ALLOW: 0x7fff0000,
} as const

/** Bytes of one instruction. */
export const INSTRUCTION_BYTES = 8

/** The kernel takes no more (BPF_MAXINSNS). */
export const MAX_INSTRUCTIONS = 4096

/** The instructions of a program. */
export function decodeInstructions(program: Uint8Array): Instruction[] {
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength)
  return Array.from({ length: Math.floor(program.length / INSTRUCTION_BYTES) }, (_, index) => {
    const offset = index * INSTRUCTION_BYTES
    return {
      code: view.getUint16(offset, true),
      jt: view.getUint8(offset + 2),
      jf: view.getUint8(offset + 3),
      k: view.getUint32(offset + 4, true),
    }
  })
}

/** Whether a program may leave calls to user space. */
export function asksUserSpace(program: Uint8Array): boolean {
  // asked at every launch: so no decoding; the low half of the value is data, which does not count
  const answer = SECCOMP_RETURN.SCMP_ACT_NOTIFY >>> 16
  for (let at = 0; at < program.length; at += INSTRUCTION_BYTES) {
    const high = (program[at + 6] ?? 0) | ((program[at + 7] ?? 0) << 8)
    if (program[at] === BPF.RETURN && program[at + 1] === 0 && high === answer) return true
  }
  return false
}

/** The bytes of a program, little endian as all architectures we know are. */
export function encodeInstructions(instructions: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(instructions.length * INSTRUCTION_BYTES)
  const view = new DataView(bytes.buffer)
  for (const [index, { code, jt, jf, k }] of instructions.entries()) {
    const offset = index * INSTRUCTION_BYTES
    view.setUint16(offset, code, true)
    view.setUint8(offset + 2, jt)
    view.setUint8(offset + 3, jf)
    view.setUint32(offset + 4, k, true)
  }
  return bytes
}
