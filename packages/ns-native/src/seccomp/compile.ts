import {
  AUDIT_ARCH,
  BPF,
  encodeInstructions,
  type Instruction,
  MAX_INSTRUCTIONS,
  SECCOMP_DATA,
  SECCOMP_RETURN,
} from './bpf.ts'
import { compileRules, returns } from './compile-rules.ts'
import type { SeccompArch, SeccompProfile, SeccompRule } from './profile.ts'
import { isSyscallName, syscallNumbers } from './syscall-table.ts'

const EPERM = 1
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
 * Compiles a profile into the bytes of a classic BPF program for SECCOMP_SET_MODE_FILTER.
 *
 * The same profile always gives the same bytes. The program looks at the architecture first and
 * kills the process of a foreign one: a 32-bit program whose every call fails cannot even exit, and
 * some C libraries then spin for ever. x32 calls, which pass as x64, are answered with ENOSYS, as
 * by the many kernels built without them. Then it finds the number by binary search.
 *
 * @throws TypeError when a rule names what is no system call anywhere
 */
export function compileSeccomp(profile: SeccompProfile, arch: SeccompArch): Uint8Array {
  const instructions = [
    load(SECCOMP_DATA.ARCH),
    { code: BPF.IF_EQUAL, jt: 1, jf: 0, k: AUDIT_ARCH[arch] },
    returns(SECCOMP_RETURN.SCMP_ACT_KILL_PROCESS),
    load(SECCOMP_DATA.NUMBER),
    ...searchTree(mergeEqual(rangesOf(profile, arch))),
  ]
  if (instructions.length > MAX_INSTRUCTIONS) {
    throw new RangeError(`cannot compile seccomp profile: ${instructions.length} instructions`)
  }
  return encodeInstructions(instructions)
}

function rangesOf(profile: SeccompProfile, arch: SeccompArch): Range[] {
  const rulesByName = groupByName(profile.syscalls)
  const otherwise = returns(actionValue(profile.defaultAction, profile.defaultErrnoRet))
  const calls = [...syscallNumbers(arch)].sort(([, left], [, right]) => left - right)
  const ranges: Range[] = []
  let next = 0
  for (const [name, number] of calls) {
    if (number > next) ranges.push({ start: next, code: [otherwise] })
    const rules = (rulesByName.get(name) ?? []).map(({ action, errnoRet, args }) => ({
      action: actionValue(action, errnoRet),
      args: args ?? [],
    }))
    ranges.push({ start: number, code: compileRules(rules, otherwise) })
    next = number + 1
  }
  ranges.push({ start: next, code: [otherwise] })
  if (arch === 'x64') {
    ranges.push({ start: X32_BIT, code: [returns(SECCOMP_RETURN.SCMP_ACT_ERRNO | ENOSYS)] })
  }
  // a tracer that has cancelled a call leaves -1 behind: nothing will run, and an errno from here
  // would overwrite the result that the tracer has set
  ranges.push({ start: LAST_NUMBER, code: [returns(SECCOMP_RETURN.SCMP_ACT_ALLOW)] })
  return ranges
}

function groupByName(rules: readonly SeccompRule[]): Map<string, SeccompRule[]> {
  const byName = new Map<string, SeccompRule[]>()
  for (const rule of rules) {
    for (const name of rule.names) {
      if (!isSyscallName(name)) {
        throw new TypeError(`expected the name of a system call but received ${name}`)
      }
      const known = byName.get(name)
      if (known === undefined) byName.set(name, [rule])
      else known.push(rule)
    }
  }
  return byName
}

function actionValue(action: SeccompRule['action'], errno = EPERM): number {
  return action === 'SCMP_ACT_ERRNO' ? SECCOMP_RETURN[action] | errno : SECCOMP_RETURN[action]
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

function load(offset: number): Instruction {
  return { code: BPF.LOAD, jt: 0, jf: 0, k: offset }
}
