import {
  AUDIT_ARCH,
  BPF,
  encodeInstructions,
  type Instruction,
  MAX_INSTRUCTIONS,
  SECCOMP_DATA,
  SECCOMP_RETURN,
} from './bpf.ts'
import type { SeccompArch } from './profile.ts'

const ENOSYS = 38

/** x32 calls are x64 calls with this bit set in the number. */
const X32_BIT = 0x40000000
const LAST_NUMBER = 0xffffffff

/** From this number up to the next range's, calls are answered by `code`. */
interface Range {
  start: number
  code: readonly Instruction[]
}

/**
 * The bytes of a program that answers each call by code of its own, and all others by `otherwise`.
 *
 * It looks at the architecture first and kills the process of a foreign one: a 32-bit program whose
 * every call fails cannot even exit, and some C libraries then spin for ever. x32 calls, which pass
 * as x64, are answered with ENOSYS, as by the many kernels built without them. Then it finds the
 * number by binary search.
 *
 * @throws RangeError when the kernel would not take so long a program
 */
export function assembleProgram(
  answers: ReadonlyMap<number, readonly Instruction[]>,
  otherwise: Instruction,
  arch: SeccompArch,
): Uint8Array {
  const instructions = [
    load(SECCOMP_DATA.ARCH),
    { code: BPF.IF_EQUAL, jt: 1, jf: 0, k: AUDIT_ARCH[arch] },
    returns(SECCOMP_RETURN.SCMP_ACT_KILL_PROCESS),
    load(SECCOMP_DATA.NUMBER),
    ...searchTree(mergeEqual(rangesOf(answers, otherwise, arch))),
  ]
  if (instructions.length > MAX_INSTRUCTIONS) {
    throw new RangeError(`cannot compile seccomp profile: ${instructions.length} instructions`)
  }
  return encodeInstructions(instructions)
}

/** The instruction that ends the program with a value. */
export function returns(value: number): Instruction {
  return { code: BPF.RETURN, jt: 0, jf: 0, k: value >>> 0 }
}

/** The instruction that reads 32 bits of `struct seccomp_data`. */
export function load(offset: number): Instruction {
  return { code: BPF.LOAD, jt: 0, jf: 0, k: offset }
}

/** The code that answers the call whose number A is, and all others by `otherwise`. */
export function findNumber(
  answers: ReadonlyMap<number, readonly Instruction[]>,
  otherwise: Instruction,
): readonly Instruction[] {
  return searchTree(mergeEqual(rangesBetween(answers, otherwise)))
}

function rangesOf(
  answers: ReadonlyMap<number, readonly Instruction[]>,
  otherwise: Instruction,
  arch: SeccompArch,
): Range[] {
  const ranges = rangesBetween(answers, otherwise)
  if (arch === 'x64') {
    ranges.push({ start: X32_BIT, code: [returns(SECCOMP_RETURN.SCMP_ACT_ERRNO | ENOSYS)] })
  }
  // a tracer that has cancelled a call leaves -1 behind: nothing will run, and an errno from here
  // would overwrite the result that the tracer has set
  ranges.push({ start: LAST_NUMBER, code: [returns(SECCOMP_RETURN.SCMP_ACT_ALLOW)] })
  return ranges
}

function rangesBetween(
  answers: ReadonlyMap<number, readonly Instruction[]>,
  otherwise: Instruction,
): Range[] {
  const ranges: Range[] = []
  let next = 0
  for (const [number, code] of [...answers].sort(([left], [right]) => left - right)) {
    if (number > next) ranges.push({ start: next, code: [otherwise] })
    ranges.push({ start: number, code })
    next = number + 1
  }
  ranges.push({ start: next, code: [otherwise] })
  return ranges
}

function mergeEqual(ranges: readonly Range[]): Range[] {
  const merged: Range[] = []
  for (const range of ranges) {
    const last = merged.at(-1)
    if (last === undefined || !isSameCode(last.code, range.code)) merged.push(range)
  }
  return merged
}

function isSameCode(left: readonly Instruction[], right: readonly Instruction[]): boolean {
  return JSON.stringify(left) === JSON.stringify(right)
}

/** A is the call's number; exactly one range's code runs, after log2(ranges) comparisons. */
function searchTree(ranges: readonly Range[]): readonly Instruction[] {
  const middle = ranges.length >> 1
  const split = ranges[middle]
  if (split === undefined) throw new RangeError('cannot search among no ranges')
  if (middle === 0) return split.code
  const below = searchTree(ranges.slice(0, middle))
  const above = searchTree(ranges.slice(middle))
  const test = { code: BPF.IF_GREATER_OR_EQUAL, k: split.start }
  // conditional jumps reach 255 instructions far, unconditional ones everywhere
  return below.length <= 255
    ? [{ ...test, jt: below.length, jf: 0 }, ...below, ...above]
    : [
        { ...test, jt: 0, jf: 1 },
        { code: BPF.JUMP, jt: 0, jf: 0, k: below.length },
        ...below,
        ...above,
      ]
}
