import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compileOrdered } from './compile-ordered.ts'
import { defaultProfile } from './default-profile.ts'
import { interpretSeccomp, type SeccompVerdict } from './interpret.ts'
import type { OrderedAction, OrderedArg, OrderedProfile, OrderedRule } from './ordered-profile.ts'
import type { SeccompArch, SeccompOperator } from './profile.ts'
import { syscallNumbers } from './syscall-table.ts'

const ARCHES: readonly SeccompArch[] = ['x64', 'arm64']
const ALLOW_ALL: OrderedProfile = { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [] }

// What a profile says, straight from its definition; the oracle for compiler and interpreter.
function judge(profile: OrderedProfile, name: string, args: readonly bigint[]): SeccompVerdict {
  const rule = profile.syscalls.find(
    (candidate) =>
      candidate.names.includes(name) && (candidate.args ?? []).every((arg) => holds(arg, args)),
  )
  return rule === undefined
    ? verdict(profile.defaultAction, profile.defaultErrnoRet)
    : verdict(rule.action, rule.errnoRet)
}

function holds({ index, op, value, valueTwo = 0 }: OrderedArg, args: readonly bigint[]): boolean {
  const arg = args[index] ?? 0n
  const operand = BigInt(value)
  switch (op) {
    case 'SCMP_CMP_EQ':
      return arg === operand
    case 'SCMP_CMP_NE':
      return arg !== operand
    case 'SCMP_CMP_LT':
      return arg < operand
    case 'SCMP_CMP_LE':
      return arg <= operand
    case 'SCMP_CMP_GT':
      return arg > operand
    case 'SCMP_CMP_GE':
      return arg >= operand
    case 'SCMP_CMP_MASKED_EQ':
      return (arg & operand) === (BigInt(valueTwo) & operand)
  }
}

function verdict(action: OrderedAction, errnoRet = 1): SeccompVerdict {
  return action === 'SCMP_ACT_ERRNO' ? { action, errnoRet } : { action }
}

// Arguments near every value that a rule of this call mentions, in each half of the register.
function sampleArgs(rules: readonly OrderedRule[]): bigint[][] {
  const samples: bigint[][] = [[], Array<bigint>(6).fill(2n ** 64n - 1n)]
  for (const { index, value, valueTwo = 0 } of rules.flatMap((rule) => rule.args ?? [])) {
    const bits = Array.from({ length: 64 }, (_, bit) => 1n << BigInt(bit))
    const near = [BigInt(value), BigInt(valueTwo)].flatMap((base) => [
      base,
      ...bits.flatMap((bit) => [base ^ bit, bit]),
    ])
    for (const sample of near) {
      const args = Array<bigint>(6).fill(0n)
      args[index] = sample
      samples.push(args)
    }
  }
  return samples
}

describe.each(ARCHES)('the default profile compiled for %s', (arch) => {
  test.each([false, true])('does what the profile says, nested namespaces %s', (nested) => {
    const profile = defaultProfile({ allowNestedNamespaces: nested })
    const program = compileOrdered(profile, arch)
    for (const name of syscallNumbers(arch).keys()) {
      const rules = profile.syscalls.filter((rule) => rule.names.includes(name))
      for (const args of sampleArgs(rules)) {
        const got = interpretSeccomp(program, { arch, syscall: name, args })
        const wanted = judge(profile, name, args)
        // expect() for each of some ten thousand calls would take seconds
        if (JSON.stringify(got) !== JSON.stringify(wanted)) {
          expect({ name, args, ...got }).toEqual({ name, args, ...wanted })
        }
      }
    }
  })

  test('answers numbers that are no system call with ENOSYS', () => {
    const program = compileOrdered(defaultProfile(), arch)
    const known = new Set(syscallNumbers(arch).values())
    for (let number = 0; number < 2000; number++) {
      if (known.has(number)) continue
      const verdict = interpretSeccomp(program, { arch, syscall: number })
      expect(verdict).toEqual({ action: 'SCMP_ACT_ERRNO', errnoRet: 38 })
    }
  })

  test('stays small and always comes out the same', () => {
    const program = compileOrdered(defaultProfile(), arch)
    expect(program.length / 8).toBe(GOLDEN_INSTRUCTIONS[arch])
    expect(compileOrdered(defaultProfile(), arch)).toEqual(program)
  })
})

const GOLDEN_INSTRUCTIONS = { x64: 200, arm64: 190 }

test('a program of a foreign architecture is killed, whatever it calls', () => {
  for (const arch of ['ia32', 'arm', 'arm64'] as const) {
    const program = compileOrdered(ALLOW_ALL, 'x64')
    for (const syscall of [0, 1, 20, 0xffffffff]) {
      const verdict = interpretSeccomp(program, { arch, syscall })
      expect(verdict).toEqual({ action: 'SCMP_ACT_KILL_PROCESS' })
    }
  }
})

test('x32 calls do not exist, even where everything is allowed', () => {
  const program = compileOrdered(ALLOW_ALL, 'x64')
  for (const syscall of [0x40000000, 0x40000000 + 165, 0x7fffffff, 0xc0000000, 0xfffffffe]) {
    const verdict = interpretSeccomp(program, { arch: 'x64', syscall })
    expect(verdict).toEqual({ action: 'SCMP_ACT_ERRNO', errnoRet: 38 })
  }
})

test('a call that a tracer has cancelled keeps the result that the tracer gave it', () => {
  for (const arch of ARCHES) {
    const program = compileOrdered(defaultProfile(), arch)
    const verdict = interpretSeccomp(program, { arch, syscall: 0xffffffff })
    expect(verdict).toEqual({ action: 'SCMP_ACT_ALLOW' })
  }
})

test('a name that is no system call anywhere is refused', () => {
  const profile: OrderedProfile = {
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: [{ names: ['opne'], action: 'SCMP_ACT_ERRNO' }],
  }
  expect(() => compileOrdered(profile, 'x64')).toThrow('received opne')
})

test('a program too long for the kernel is refused', () => {
  const differing = [...syscallNumbers('x64').keys()].map(
    (name, number): OrderedRule => ({
      names: [name],
      action: 'SCMP_ACT_LOG',
      args: ([0, 1, 2] as const).map((index) => ({ index, op: 'SCMP_CMP_EQ', value: number })),
    }),
  )
  const profile: OrderedProfile = { defaultAction: 'SCMP_ACT_ALLOW', syscalls: differing }
  expect(() => compileOrdered(profile, 'x64')).toThrow('instructions')
})

const NAMES = ['read', 'ioctl', 'socket', 'clone', 'mseal', 'close', 'getpid', 'setns']
const VALUES = [0, 1, 0x5412, 0x7fffffff, 0xffffffff, 2 ** 32, 2 ** 32 + 1, 2 ** 40 + 7]
const OPERATORS: readonly SeccompOperator[] = [
  'SCMP_CMP_EQ',
  'SCMP_CMP_NE',
  'SCMP_CMP_LT',
  'SCMP_CMP_LE',
  'SCMP_CMP_GT',
  'SCMP_CMP_GE',
  'SCMP_CMP_MASKED_EQ',
]
const action = fc.constantFrom<OrderedAction>(
  'SCMP_ACT_ALLOW',
  'SCMP_ACT_ERRNO',
  'SCMP_ACT_KILL_PROCESS',
  'SCMP_ACT_KILL_THREAD',
  'SCMP_ACT_TRAP',
  'SCMP_ACT_LOG',
)
const argument: fc.Arbitrary<OrderedArg> = fc.record({
  index: fc.constantFrom(0, 1, 5),
  op: fc.constantFrom(...OPERATORS),
  value: fc.constantFrom(...VALUES),
  valueTwo: fc.constantFrom(...VALUES),
})
const rule: fc.Arbitrary<OrderedRule> = fc.record({
  names: fc.uniqueArray(fc.constantFrom(...NAMES), { minLength: 1 }),
  action,
  errnoRet: fc.integer({ min: 1, max: 4095 }),
  args: fc.array(argument, { maxLength: 3 }),
})
const profile: fc.Arbitrary<OrderedProfile> = fc.record({
  defaultAction: action,
  defaultErrnoRet: fc.constantFrom(1, 38),
  syscalls: fc.array(rule, { maxLength: 30 }),
})
const register = fc.oneof(
  fc.constantFrom(...VALUES.flatMap((value) => [BigInt(value), BigInt(value) + 1n])),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
)

test('property: any profile does for any call what its definition says', () => {
  fc.assert(
    fc.property(
      profile,
      fc.constantFrom(...ARCHES),
      fc.array(fc.array(register, { minLength: 6, maxLength: 6 }), { minLength: 1, maxLength: 8 }),
      (candidate, arch, samples) => {
        const program = compileOrdered(candidate, arch)
        for (const name of [...NAMES, 'write']) {
          for (const args of samples) {
            const got = interpretSeccomp(program, { arch, syscall: name, args })
            expect(got).toEqual(judge(candidate, name, args))
          }
        }
      },
    ),
  )
})
