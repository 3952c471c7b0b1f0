import { INSTRUCTION_BYTES, MAX_INSTRUCTIONS, SECCOMP_DATA } from './bpf.ts'

/** The classes of instructions, and their parts: linux/bpf_common.h. */
const CLASS = { LD: 0, LDX: 1, ST: 2, STX: 3, ALU: 4, JMP: 5, RET: 6, MISC: 7 } as const
const MODE = { IMM: 0x00, ABS: 0x20, MEM: 0x60, LEN: 0x80 } as const
const FROM_X = 0x08
const RETURN_A = 0x10
const TXA = 0x80
const MEMORY_WORDS = 16

/**
 * Runs a classic BPF program on a `struct seccomp_data`: all instructions that the kernel takes for
 * seccomp (seccomp_check_filter), whatever compiler wrote them. Returns the program's value.
 *
 * @throws TypeError where the kernel would have refused the program
 */
export function runBpf(program: Uint8Array, data: DataView): number {
  const code = new DataView(program.buffer, program.byteOffset, program.byteLength)
  const length = program.byteLength / INSTRUCTION_BYTES
  if (length > MAX_INSTRUCTIONS || !Number.isInteger(length)) throw refused('its length')
  const memory = new Uint32Array(MEMORY_WORDS)
  let a = 0
  let x = 0
  for (let at = 0; at < length; at++) {
    const offset = at * INSTRUCTION_BYTES
    const operation = code.getUint16(offset, true)
    const k = code.getUint32(offset + 4, true)
    switch (operation & 7) {
      case CLASS.LD:
        a = loaded(operation, k, data, memory)
        break
      case CLASS.LDX:
        if (operation === (CLASS.LDX | MODE.ABS)) throw refused(`operation ${operation}`)
        x = loaded(operation, k, data, memory)
        break
      case CLASS.ST:
      case CLASS.STX:
        if (operation > CLASS.STX) throw refused(`operation ${operation}`)
        memory[memoryIndex(k)] = operation === CLASS.ST ? a : x
        break
      case CLASS.ALU: {
        const operand = operation & FROM_X ? x : k
        // what divides by X = 0 returns 0, that is, kills the thread
        if ((operation & 0xf0) === 0x30 && operand === 0) return 0
        a = computed(operation, a, operand)
        break
      }
      case CLASS.JMP:
        if (operation === CLASS.JMP) at += k
        else {
          const holds = compared(operation, a, operation & FROM_X ? x : k)
          at += code.getUint8(offset + (holds ? 2 : 3))
        }
        break
      case CLASS.RET:
        if (operation === CLASS.RET) return k
        if (operation === (CLASS.RET | RETURN_A)) return a
        throw refused(`operation ${operation}`)
      default:
        if (operation === CLASS.MISC) x = a
        else if (operation === (CLASS.MISC | TXA)) a = x
        else throw refused(`operation ${operation}`)
    }
  }
  throw refused('one that does not return')
}

function loaded(operation: number, k: number, data: DataView, memory: Uint32Array): number {
  switch (operation & ~7) {
    case MODE.IMM:
      return k
    case MODE.ABS:
      if (k % 4 !== 0 || k >= SECCOMP_DATA.SIZE) throw refused(`a load from ${k}`)
      return data.getUint32(k, true)
    case MODE.MEM:
      return memory[memoryIndex(k)] ?? 0
    case MODE.LEN:
      return SECCOMP_DATA.SIZE
    default:
      throw refused(`operation ${operation}`)
  }
}

function computed(operation: number, a: number, operand: number): number {
  switch (operation & ~FROM_X & ~7) {
    case 0x00:
      return (a + operand) >>> 0
    case 0x10:
      return (a - operand) >>> 0
    case 0x20:
      return Math.imul(a, operand) >>> 0
    case 0x30:
      return Math.floor(a / operand)
    case 0x40:
      return (a | operand) >>> 0
    case 0x50:
      return (a & operand) >>> 0
    case 0x60:
      return (a << (operand & 31)) >>> 0
    case 0x70:
      return a >>> (operand & 31)
    case 0x80:
      return -a >>> 0
    case 0xa0:
      return (a ^ operand) >>> 0
    default:
      throw refused(`operation ${operation}`)
  }
}

function compared(operation: number, a: number, operand: number): boolean {
  switch (operation & ~FROM_X & ~7) {
    case 0x10:
      return a === operand
    case 0x20:
      return a > operand
    case 0x30:
      return a >= operand
    case 0x40:
      return (a & operand) !== 0
    default:
      throw refused(`operation ${operation}`)
  }
}

function memoryIndex(k: number): number {
  if (k < MEMORY_WORDS) return k
  throw refused(`memory word ${k}`)
}

function refused(what: string): TypeError {
  return new TypeError(`expected a seccomp program but received ${what}`)
}
