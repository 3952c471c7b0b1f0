import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { NamespaceError } from '../errors.ts'
import { compileSeccomp } from './compile.ts'
import type { SeccompAction, SeccompArg, SeccompOperator, SeccompProfile } from './profile.ts'

const ALLOW = { action: 'SCMP_ACT_ALLOW' }
const DENY = { action: 'SCMP_ACT_ERRNO', errnoRet: 1 }

// A profile as JSON.parse gives it: whatever it is, the compiler has to look.
function compile(profile: unknown, options: Parameters<typeof compileSeccomp>[1] = {}) {
  // JSON.parse gives any; so do these tests
  return compileSeccomp(profile as SeccompProfile, { arch: 'x64', ...options })
}

function problemOf(profile: unknown): [string | undefined, string] {
  try {
    compile(profile)
  } catch (error) {
    if (error instanceof NamespaceError) return [error.pointer, error.message]
    throw error
  }
  return [undefined, 'none']
}

describe('docker’s form', () => {
  const rule = { names: ['mount'], action: 'SCMP_ACT_ALLOW' }
  const profile = (...syscalls: unknown[]) => ({ defaultAction: 'SCMP_ACT_ERRNO', syscalls })
  const mount = (syscalls: unknown, options?: Parameters<typeof compileSeccomp>[1]) =>
    compile(profile(syscalls), options).explain({ syscall: 'mount' }).action

  test.each([
    [{ caps: ['CAP_SYS_ADMIN'] }, { capabilities: ['CAP_SYS_ADMIN'] }, {}],
    [{ arches: ['amd64', 'x32'] }, {}, { arch: 'arm64' }],
    [{ minKernel: '5.10' }, { kernel: '5.10.0-21-amd64' }, { kernel: '4.19.0' }],
    [{ minKernel: '4.8' }, { kernel: '6.1.0' }, { kernel: '3.10.0' }],
  ] as const)('%j: the rule is there, or not, by the process', (condition, yes, no) => {
    expect(mount({ ...rule, includes: condition }, yes)).toBe('SCMP_ACT_ALLOW')
    expect(mount({ ...rule, includes: condition }, no)).toBe('SCMP_ACT_ERRNO')
    expect(mount({ ...rule, excludes: condition }, yes)).toBe('SCMP_ACT_ERRNO')
    expect(mount({ ...rule, excludes: condition }, no)).toBe('SCMP_ACT_ALLOW')
  })

  test('all included capabilities are needed, one excluded is enough', () => {
    const caps = ['CAP_SYS_ADMIN', 'CAP_CHOWN']
    const capabilities = ['CAP_CHOWN']
    expect(mount({ ...rule, includes: { caps } }, { capabilities })).toBe('SCMP_ACT_ERRNO')
    expect(mount({ ...rule, excludes: { caps } }, { capabilities })).toBe('SCMP_ACT_ERRNO')
  })

  test('a single name, comments, empty lists and nulls are as good as docker writes them', () => {
    const { explain } = compile({
      defaultAction: 'SCMP_ACT_ERRNO',
      archMap: [{ architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86'] }],
      syscalls: [
        {
          name: 'read',
          action: 'SCMP_ACT_ALLOW',
          args: null,
          comment: 'x',
          includes: {},
          excludes: null,
        },
        { names: [], action: 'SCMP_ACT_ALLOW', args: [] },
      ],
    })
    expect(explain({ syscall: 'read' })).toEqual({ ...ALLOW, rule: '/syscalls/0' })
    expect(explain({ syscall: 'write' })).toEqual(DENY)
  })

  test('errnos come by number or, as podman writes them, by name', () => {
    const { explain } = compile({
      defaultAction: 'SCMP_ACT_ERRNO',
      defaultErrnoRet: 1,
      defaultErrno: 'ENOSYS',
      syscalls: [
        { names: ['mount'], action: 'SCMP_ACT_ERRNO', errnoRet: 13, errno: '' },
        { names: ['ptrace'], action: 'SCMP_ACT_TRACE', errno: 'EACCES' },
        { names: ['kill'], action: 'SCMP_ACT_TRACE' },
      ],
    })
    expect(explain({ syscall: 'read' })).toEqual({ action: 'SCMP_ACT_ERRNO', errnoRet: 38 })
    expect(explain({ syscall: 'mount' })).toMatchObject({ errnoRet: 13 })
    expect(explain({ syscall: 'ptrace' })).toMatchObject({
      action: 'SCMP_ACT_TRACE',
      errnoRet: 13,
    })
    expect(explain({ syscall: 'kill' })).toMatchObject({ action: 'SCMP_ACT_TRACE', errnoRet: 1 })
  })
})

test.each([
  ['SCMP_ACT_KILL', 'SCMP_ACT_KILL_THREAD'],
  ['SCMP_ACT_KILL_THREAD', 'SCMP_ACT_KILL_THREAD'],
  ['SCMP_ACT_KILL_PROCESS', 'SCMP_ACT_KILL_PROCESS'],
  ['SCMP_ACT_TRAP', 'SCMP_ACT_TRAP'],
  ['SCMP_ACT_LOG', 'SCMP_ACT_LOG'],
  ['SCMP_ACT_NOTIFY', 'SCMP_ACT_NOTIFY'],
  ['SCMP_ACT_ALLOW', 'SCMP_ACT_ALLOW'],
] as const)('the action %s is %s', (action, expected) => {
  const { explain } = compile({
    defaultAction: 'SCMP_ACT_ERRNO',
    syscalls: [{ names: ['read'], action }],
  })
  expect(explain({ syscall: 'read' })).toEqual({ action: expected, rule: '/syscalls/0' })
})

describe('rules that overlap', () => {
  const explain = (...syscalls: unknown[]) =>
    compile({ defaultAction: 'SCMP_ACT_ERRNO', syscalls }).explain
  const on = (action: SeccompAction, ...args: SeccompArg[]) => ({ names: ['read'], action, args })
  const is = (index: number, value: number): SeccompArg => ({ index, value, op: 'SCMP_CMP_EQ' })

  test('one without arguments beats those with some, wherever it stands', () => {
    const rules = [on('SCMP_ACT_LOG', is(0, 1)), on('SCMP_ACT_ALLOW')]
    expect(explain(...rules)({ syscall: 'read', args: [1n] })).toMatchObject(ALLOW)
    expect(explain(...rules.reverse())({ syscall: 'read', args: [1n] })).toMatchObject(ALLOW)
  })

  test('of several without arguments the first counts', () => {
    const asked = explain(on('SCMP_ACT_LOG'), on('SCMP_ACT_ALLOW'))({ syscall: 'read' })
    expect(asked).toEqual({ action: 'SCMP_ACT_LOG', rule: '/syscalls/0' })
  })

  test('one that says what the default says is as if it were not there', () => {
    const asked = explain(on('SCMP_ACT_ERRNO'), on('SCMP_ACT_ALLOW', is(0, 1)))
    expect(asked({ syscall: 'read', args: [1n] })).toMatchObject(ALLOW)
  })

  test('several tests of one argument are several rules, as runc has it', () => {
    const asked = explain(on('SCMP_ACT_ALLOW', is(0, 1), is(0, 2), is(1, 3)))
    for (const args of [[1n], [2n], [9n, 3n]]) {
      expect(asked({ syscall: 'read', args })).toMatchObject(ALLOW)
    }
    expect(asked({ syscall: 'read', args: [9n, 9n] })).toEqual(DENY)
  })

  test('a contradiction is an error, as with libseccomp', () => {
    const rules = [on('SCMP_ACT_LOG', is(0, 1)), on('SCMP_ACT_ALLOW', is(0, 1))]
    expect(problemOf({ defaultAction: 'SCMP_ACT_ERRNO', syscalls: rules })).toEqual([
      '/syscalls/1',
      'invalid seccomp profile: /syscalls/1: contradicts an earlier rule about read',
    ])
  })
})

test('arguments are compared in 64 bits, given as number or bigint', () => {
  const value = 0xffff_ffff_ffff_fffen
  const { explain } = compile({
    defaultAction: 'SCMP_ACT_ERRNO',
    syscalls: [
      { names: ['read'], action: 'SCMP_ACT_ALLOW', args: [{ index: 5, op: 'SCMP_CMP_GE', value }] },
      {
        names: ['write'],
        action: 'SCMP_ACT_ALLOW',
        args: [{ index: 1, op: 'SCMP_CMP_EQ', value: 2 ** 40 + 1 }],
      },
    ],
  })
  const read = (last: bigint) => explain({ syscall: 'read', args: [0n, 0n, 0n, 0n, 0n, last] })
  expect([read(value), read(value + 1n)]).toMatchObject([ALLOW, ALLOW])
  expect([read(value - 1n), read(0xfffffffen)]).toEqual([DENY, DENY])
  expect(explain({ syscall: 'write', args: [0n, 2n ** 40n + 1n] })).toMatchObject(ALLOW)
  expect(explain({ syscall: 'write', args: [0n, 1n] })).toEqual(DENY)
})

test('calls of other architectures are refused whatever the profile says of them', () => {
  const { explain } = compile({
    defaultAction: 'SCMP_ACT_ALLOW',
    architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
  })
  for (const arch of ['ia32', 'arm', 'arm64'] as const) {
    for (const syscall of [0, 1, 20, 0xffffffff]) {
      expect(explain({ arch, syscall })).toEqual({ action: 'SCMP_ACT_KILL_PROCESS' })
    }
  }
  for (const x32 of [0x40000000, 0x40000000 + 165, 0x7fffffff, 0xc0000000, 0xfffffffe]) {
    expect(explain({ syscall: x32 })).toEqual({ action: 'SCMP_ACT_ERRNO', errnoRet: 38 })
  }
})

test('names of other architectures are passed over, names of none are an error unless allowed', () => {
  const profile = {
    defaultAction: 'SCMP_ACT_ERRNO',
    syscalls: [{ names: ['chown32', 'opne'], action: 'SCMP_ACT_ALLOW' }],
  }
  expect(problemOf(profile)).toEqual([
    '/syscalls/0/names/1',
    'invalid seccomp profile: /syscalls/0/names/1: opne is no system call of Linux',
  ])
  const { explain } = compile(profile, { unknownSyscalls: 'ignore' })
  expect(explain({ syscall: 'open' })).toEqual(DENY)
})

const RULE = { names: ['read'], action: 'SCMP_ACT_ALLOW' }
const ARG = { index: 0, value: 1, op: 'SCMP_CMP_EQ' }
const withRule = (rule: object) => ({ defaultAction: 'SCMP_ACT_ERRNO', syscalls: [rule] })
const withArg = (arg: object) => withRule({ ...RULE, args: [arg] })

test.each([
  ['', null],
  ['', []],
  ['/defaultAction', {}],
  ['/defaultAction', { defaultAction: 'ALLOW' }],
  ['/defaultAction', { defaultAction: 'toString' }],
  ['/defaultErrnoRet', { defaultAction: 'SCMP_ACT_ALLOW', defaultErrnoRet: 1 }],
  ['/syscals', { defaultAction: 'SCMP_ACT_ALLOW', syscals: [] }],
  ['/syscalls', { defaultAction: 'SCMP_ACT_ALLOW', syscalls: {} }],
  ['/syscalls/0/arg', withRule({ ...RULE, arg: [] })],
  ['/syscalls/0/action', withRule({ names: ['read'] })],
  ['/syscalls/0/names/0', withRule({ ...RULE, names: [7] })],
  ['/syscalls/0/name', withRule({ ...RULE, name: 'write' })],
  ['/syscalls/0/errnoRet', withRule({ ...RULE, errnoRet: 5 })],
  ['/syscalls/0/errnoRet', withRule({ ...RULE, action: 'SCMP_ACT_ERRNO', errnoRet: 65536 })],
  ['/syscalls/0/errno', withRule({ ...RULE, action: 'SCMP_ACT_ERRNO', errno: 'EWHAT' })],
  ['/syscalls/0/includes/cap', withRule({ ...RULE, includes: { cap: [] } })],
  ['/syscalls/0/includes/minKernel', withRule({ ...RULE, includes: { minKernel: '4' } })],
  ['/syscalls/0/args/0/index', withArg({ ...ARG, index: 6 })],
  ['/syscalls/0/args/0/index', withArg({ op: ARG.op, value: 1 })],
  ['/syscalls/0/args/0/op', withArg({ ...ARG, op: 'EQ' })],
  ['/syscalls/0/args/0/value', withArg({ index: 0, op: ARG.op })],
  ['/syscalls/0/args/0/value', withArg({ ...ARG, value: -1 })],
  ['/syscalls/0/args/0/value', withArg({ ...ARG, value: 2 ** 60 })],
  ['/syscalls/0/args/0/value', withArg({ ...ARG, value: 2n ** 64n })],
  ['/syscalls/0/args/0/valueTwo', withArg({ ...ARG, valueTwo: 0.5 })],
  [
    '/archMap',
    {
      defaultAction: RULE.action,
      architectures: ['SCMP_ARCH_X86'],
      archMap: [{ architecture: 'SCMP_ARCH_X86' }],
    },
  ],
  ['/architectures/0', { defaultAction: RULE.action, architectures: ['amd64'] }],
  ['/flags/0', { defaultAction: RULE.action, flags: ['SECCOMP_FILTER_FLAG_SPEC_ALLOW'] }],
  ['/listenerPath', { defaultAction: RULE.action, listenerPath: '/run/x' }],
])('what is wrong at %j is told with its place', (pointer, profile) => {
  expect(problemOf(profile)[0]).toBe(pointer)
})

test('a profile too long for the kernel is refused', () => {
  const args = Array.from({ length: 2500 }, (_, value) => ({ ...ARG, value }))
  expect(problemOf(withRule({ ...RULE, args }))).toEqual([
    '/syscalls',
    expect.stringContaining('longer than the kernel takes'),
  ])
})

function holds({ index, op, value, valueTwo }: SeccompArg, args: readonly bigint[]): boolean {
  const [arg, operand] = [args[index] ?? 0n, BigInt(value)]
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
      return (arg & operand) === (BigInt(valueTwo ?? 0) & operand)
  }
}

const OPERATORS: readonly SeccompOperator[] = [
  'SCMP_CMP_EQ',
  'SCMP_CMP_NE',
  'SCMP_CMP_LT',
  'SCMP_CMP_LE',
  'SCMP_CMP_GT',
  'SCMP_CMP_GE',
  'SCMP_CMP_MASKED_EQ',
]
const someValue = fc.constantFrom(
  0n,
  1n,
  7n,
  0xffffffffn,
  2n ** 32n,
  2n ** 40n + 7n,
  2n ** 64n - 1n,
)
const someRule = fc.record({
  names: fc.constant(['read']),
  action: fc.constant<SeccompAction>('SCMP_ACT_ALLOW'),
  args: fc.uniqueArray(
    fc.record({
      index: fc.constantFrom(0, 1, 2),
      op: fc.constantFrom(...OPERATORS),
      value: someValue,
      valueTwo: someValue,
    }),
    { minLength: 1, maxLength: 2, selector: ({ index }) => index },
  ),
})

test('property: rules of one action allow what any of them matches, and explain says which', () => {
  fc.assert(
    fc.property(
      fc.array(someRule, { minLength: 1, maxLength: 4 }),
      fc.array(fc.array(someValue, { minLength: 3, maxLength: 3 }), {
        minLength: 1,
        maxLength: 10,
      }),
      (syscalls, samples) => {
        const { explain } = compile({ defaultAction: 'SCMP_ACT_ERRNO', syscalls })
        for (const args of samples) {
          const matching = syscalls.filter((rule) => rule.args.every((arg) => holds(arg, args)))
          const got = explain({ syscall: 'read', args })
          expect(got.action).toBe(matching.length > 0 ? 'SCMP_ACT_ALLOW' : 'SCMP_ACT_ERRNO')
          expect(got.rule === undefined).toBe(matching.length === 0)
        }
      },
    ),
  )
})
