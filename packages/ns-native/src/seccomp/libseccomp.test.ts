import { existsSync, readFileSync } from 'node:fs'
import { requires } from '@cromwell/test-support'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { DEFAULT_CAPABILITIES } from '../defaults.ts'
import { NamespaceError } from '../errors.ts'
import { compileSeccomp } from './compile.ts'
import { interpretSeccomp } from './interpret.ts'
import {
  buildLibseccompProgram,
  compileByLibseccomp,
  type PlainProfile,
  type PlainRule,
  removeLibseccompProgram,
} from './libseccomp.test.fixture.ts'
import type {
  SeccompAction,
  SeccompArch,
  SeccompCondition,
  SeccompOperator,
  SeccompProfile,
  SeccompRule,
} from './profile.ts'
import { syscallNumbers } from './syscall-table.ts'

afterAll(removeLibseccompProgram)

const ARCHES: readonly SeccompArch[] = ['x64', 'arm64']
const ACTIONS: Record<string, number> = {
  SCMP_ACT_ALLOW: 0x7fff0000,
  SCMP_ACT_ERRNO: 0x00050000,
  SCMP_ACT_LOG: 0x7ffc0000,
  SCMP_ACT_TRAP: 0x00030000,
  SCMP_ACT_NOTIFY: 0x7fc00000,
  SCMP_ACT_KILL_PROCESS: 0x80000000,
}

// What docker and runc do with a profile before libseccomp gets it, written down anew.
function asRuncDoes(
  profile: SeccompProfile,
  arch: SeccompArch,
  capabilities: readonly string[],
): PlainProfile {
  const goArch = { x64: 'amd64', arm64: 'arm64' }[arch]
  const wanted = (condition: SeccompCondition | null | undefined) => ({
    arches: condition?.arches ?? [],
    caps: condition?.caps ?? [],
    kernel: condition?.minKernel,
  })
  const counts = ({ includes, excludes }: SeccompRule) => {
    const not = wanted(excludes)
    const only = wanted(includes)
    if (not.arches.includes(goArch) || not.caps.some((cap) => capabilities.includes(cap)))
      return false
    if (not.kernel !== undefined) return false
    return (
      (only.arches.length === 0 || only.arches.includes(goArch)) &&
      only.caps.every((cap) => capabilities.includes(cap))
    )
  }
  const value = (action: SeccompAction, errno: number | null | undefined) =>
    (ACTIONS[action] ?? Number.NaN) + (action === 'SCMP_ACT_ERRNO' ? (errno ?? 1) : 0)
  const otherwise = value(profile.defaultAction, profile.defaultErrnoRet)
  const rules = (profile.syscalls ?? []).filter(counts).flatMap((rule) => {
    const action = value(rule.action, rule.errnoRet)
    if (action === otherwise) return []
    const args = (rule.args ?? []).map((arg) => ({
      index: arg.index,
      op: arg.op,
      value: BigInt(arg.value),
      valueTwo: BigInt(arg.valueTwo ?? 0),
    }))
    const repeated = new Set(args.map(({ index }) => index)).size < args.length
    return (rule.names ?? []).flatMap((name): PlainRule[] =>
      repeated ? args.map((arg) => ({ name, action, args: [arg] })) : [{ name, action, args }],
    )
  })
  return { arch, otherwise, rules }
}

// Arguments near every value that is asked about, in each half of the register.
function samplesOf(rules: readonly PlainRule[]): bigint[][] {
  const values = rules.flatMap(({ args }) => args.flatMap((arg) => [arg.value, arg.valueTwo]))
  const near = new Set(
    [0n, 2n ** 64n - 1n, 2n ** 32n, ...values].flatMap((value) => [
      value,
      (value + 1n) & 0xffffffffffffffffn,
      value === 0n ? 0n : value - 1n,
      value ^ (1n << 32n),
      value ^ (1n << 63n),
    ]),
  )
  const samples = [...near].map((value): bigint[] => Array<bigint>(6).fill(value))
  for (const { args } of rules) {
    const sample = Array<bigint>(6).fill(0n)
    for (const arg of args) sample[arg.index] = arg.value
    for (const { index } of args) {
      for (const value of near) samples.push(sample.with(index, value))
    }
  }
  return samples
}

// Every number, and where a rule asks about arguments, many of them.
function differences(
  theirs: Uint8Array,
  ours: Uint8Array,
  { arch, rules }: PlainProfile,
): string[] {
  const different: string[] = []
  for (let syscall = 0; syscall < 1024; syscall++) {
    const named = rules.filter((rule) => syscallNumbers(arch).get(rule.name) === syscall)
    for (const args of named.some((rule) => rule.args.length > 0) ? samplesOf(named) : [[]]) {
      const call = { arch, syscall, args }
      const [a, b] = [interpretSeccomp(theirs, call), interpretSeccomp(ours, call)]
      if (JSON.stringify(a) === JSON.stringify(b)) continue
      different.push(`${syscall}(${args}): ${JSON.stringify(a)}, not ${JSON.stringify(b)}`)
    }
  }
  return different
}

const PROFILES = [
  ['docker', '/usr/share/gocode/src/github.com/docker/docker/profiles/seccomp/default.json'],
  ['podman', '/usr/share/containers/seccomp.json'],
] as const
const CAPABILITY_SETS = [
  ['no capabilities', []],
  ['the usual ones', DEFAULT_CAPABILITIES],
  ['many', [...DEFAULT_CAPABILITIES, 'CAP_SYS_ADMIN', 'CAP_SYS_PTRACE', 'CAP_AUDIT_WRITE']],
] as const

describe.each(PROFILES)('%s’s default profile', (_, path) => {
  for (const arch of ARCHES) {
    for (const [title, capabilities] of CAPABILITY_SETS) {
      test(`does what libseccomp makes of it: ${arch}, ${title}`, (context) => {
        requires(context, 'seccomp-profiles', existsSync(path), `there is no ${path}`)
        const program = buildLibseccompProgram(context)
        const profile: SeccompProfile = JSON.parse(readFileSync(path, 'utf8'))
        const plain = asRuncDoes(profile, arch, capabilities)
        const [theirs] = compileByLibseccomp(program, [plain])
        if (theirs === undefined) throw new Error('libseccomp refuses the profile')
        const ours = compileSeccomp(profile, { arch, capabilities, kernel: '6.1.0' }).program
        expect(differences(theirs, ours, plain)).toEqual([])
        expect(ours.length).toBeLessThan(theirs.length)
      })
    }
  }
})

const SOME_CALLS = ['read', 'ioctl', 'socket']
const VALUES = [0n, 1n, 7n, 0xffffffffn, 2n ** 32n, 2n ** 32n + 1n, 2n ** 40n + 7n, 2n ** 64n - 1n]
const aRule = (most: number, ...operators: SeccompOperator[]): fc.Arbitrary<SeccompRule> =>
  fc.record({
    names: fc.constantFrom(...SOME_CALLS).map((name) => [name]),
    action: fc.constantFrom<SeccompAction>('SCMP_ACT_ALLOW', 'SCMP_ACT_ERRNO', 'SCMP_ACT_LOG'),
    args: fc.uniqueArray(
      fc.record({
        index: fc.constantFrom(0, 1, 2),
        op: fc.constantFrom(...operators),
        value: fc.constantFrom(...VALUES),
        valueTwo: fc.constantFrom(...VALUES),
      }),
      { maxLength: most, selector: ({ index }) => index },
    ),
  })
const aProfile = (rule: fc.Arbitrary<SeccompRule>, most: number): fc.Arbitrary<SeccompProfile> =>
  fc.record({
    defaultAction: fc.constantFrom<SeccompAction>('SCMP_ACT_ERRNO', 'SCMP_ACT_KILL_PROCESS'),
    syscalls: fc.array(rule, { minLength: 1, maxLength: most }),
  })

// What libseccomp 2.5 cannot do itself is left out: with several LT or LE rules of one argument it
// lets some calls through to the default that a rule matches, and with several NE rules of more than
// one argument it may never come to an end.
test.for([
  ['of equalities', aProfile(aRule(3, 'SCMP_CMP_EQ', 'SCMP_CMP_MASKED_EQ'), 5)],
  [
    'of one argument each',
    aProfile(
      aRule(1, 'SCMP_CMP_EQ', 'SCMP_CMP_NE', 'SCMP_CMP_MASKED_EQ', 'SCMP_CMP_GT', 'SCMP_CMP_GE'),
      5,
    ),
  ],
  [
    'of one rule',
    aProfile(aRule(3, 'SCMP_CMP_LT', 'SCMP_CMP_LE', 'SCMP_CMP_GT', 'SCMP_CMP_NE'), 1),
  ],
] as const)('property: profiles %s do what libseccomp makes of them', ([, profile], context) => {
  const program = buildLibseccompProgram(context)
  fc.assert(
    fc.property(fc.array(profile, { minLength: 20, maxLength: 20 }), (profiles) => {
      const plain = profiles.map((each) => asRuncDoes(each, 'x64', []))
      for (const [index, theirs] of compileByLibseccomp(program, plain).entries()) {
        const [each, asked] = [profiles[index], plain[index]]
        if (each === undefined || asked === undefined) throw new Error('an answer too many')
        const ours = compiled(each)
        if (theirs === undefined || ours === undefined) expect([ours, each]).toEqual([theirs, each])
        else expect([differences(theirs, ours, asked), each]).toEqual([[], each])
      }
    }),
    { numRuns: 5 },
  )
})

// The program, or undefined when it is refused.
function compiled(profile: SeccompProfile): Uint8Array | undefined {
  try {
    return compileSeccomp(profile, { arch: 'x64' }).program
  } catch (error) {
    if (error instanceof NamespaceError && error.message.includes('contradicts')) return undefined
    throw error
  }
}
