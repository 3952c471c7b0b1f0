import { BPF, type Instruction, SECCOMP_DATA } from './bpf.ts'
import type { OrderedArg } from './ordered-profile.ts'
import { returns } from './program.ts'

/** A rule of one system call; `action` is the value that the program returns. */
export interface CallRule {
  action: number
  args: readonly OrderedArg[]
}

/** Where a test goes on: at its own next instruction, behind itself, or behind the whole rule. */
type Target = 'next' | 'pass' | 'fail'
type Step = { code: number; k: number; onTrue?: Target; onFalse?: Target }

/** The code that answers one system call: the first rule whose arguments match, or the default. */
export function compileRules(
  rules: readonly CallRule[],
  otherwise: Instruction,
): readonly Instruction[] {
  const unconditional = rules.findIndex((rule) => rule.args.length === 0)
  const reachable = unconditional < 0 ? rules : rules.slice(0, unconditional + 1)
  const code = reachable.flatMap(compileRule)
  return unconditional < 0 ? [...code, otherwise] : code
}

function compileRule({ action, args }: CallRule): Instruction[] {
  const tests = args.map(testOf)
  const ruleEnd = tests.reduce((length, test) => length + test.length, 1)
  const code: Instruction[] = []
  for (const test of tests) {
    const testEnd = code.length + test.length
    for (const { code: operation, k, onTrue = 'next', onFalse = 'next' } of test) {
      const here = code.length + 1
      const distance = { next: 0, pass: testEnd - here, fail: ruleEnd - here }
      code.push({ code: operation, jt: distance[onTrue], jf: distance[onFalse], k })
    }
  }
  return [...code, returns(action)]
}

/** BPF computes in 32 bits, so each half of an argument is looked at on its own. */
function testOf({ index, op, value, valueTwo = 0 }: OrderedArg): Step[] {
  const low = SECCOMP_DATA.ARGS + 8 * index
  switch (op) {
    case 'SCMP_CMP_EQ':
      return [
        ...halfEquals(low, ALL_BITS, lowHalf(value)),
        ...halfEquals(low + 4, ALL_BITS, highHalf(value)),
      ]
    case 'SCMP_CMP_NE':
      return [
        { code: BPF.LOAD, k: low },
        { code: BPF.IF_EQUAL, k: lowHalf(value), onFalse: 'pass' },
        { code: BPF.LOAD, k: low + 4 },
        { code: BPF.IF_EQUAL, k: highHalf(value), onTrue: 'fail', onFalse: 'pass' },
      ]
    case 'SCMP_CMP_MASKED_EQ':
      return [
        ...halfEquals(low, lowHalf(value), lowHalf(valueTwo)),
        ...halfEquals(low + 4, highHalf(value), highHalf(valueTwo)),
      ]
    case 'SCMP_CMP_GT':
      return exceeds(low, value, BPF.IF_GREATER, ['pass', 'fail'])
    case 'SCMP_CMP_GE':
      return exceeds(low, value, BPF.IF_GREATER_OR_EQUAL, ['pass', 'fail'])
    case 'SCMP_CMP_LT':
      return exceeds(low, value, BPF.IF_GREATER_OR_EQUAL, ['fail', 'pass'])
    case 'SCMP_CMP_LE':
      return exceeds(low, value, BPF.IF_GREATER, ['fail', 'pass'])
  }
}

const ALL_BITS = 0xffffffff

/** A half of which no bit is asked for is not looked at: the kernel may ignore what is in it. */
function halfEquals(offset: number, mask: number, value: number): Step[] {
  if (mask === 0) return []
  const masking = mask === ALL_BITS ? [] : [{ code: BPF.AND, k: mask }]
  const equal: Step = { code: BPF.IF_EQUAL, k: (value & mask) >>> 0, onFalse: 'fail' }
  return [{ code: BPF.LOAD, k: offset }, ...masking, equal]
}

function exceeds(
  low: number,
  value: number,
  inLowHalf: number,
  [yes, no]: [Target, Target],
): Step[] {
  return [
    { code: BPF.LOAD, k: low + 4 },
    { code: BPF.IF_GREATER, k: highHalf(value), onTrue: yes },
    { code: BPF.IF_EQUAL, k: highHalf(value), onFalse: no },
    { code: BPF.LOAD, k: low },
    { code: inLowHalf, k: lowHalf(value), onTrue: yes, onFalse: no },
  ]
}

function lowHalf(value: number): number {
  return value % 2 ** 32
}

function highHalf(value: number): number {
  return Math.floor(value / 2 ** 32)
}
