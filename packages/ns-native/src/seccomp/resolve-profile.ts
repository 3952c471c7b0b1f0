import { SECCOMP_RETURN } from './bpf.ts'
import type { SeccompAction, SeccompArch, SeccompOperator, SeccompProfile } from './profile.ts'
import {
  invalid,
  type Place,
  readErrno,
  readList,
  readObject,
  readText,
  readTexts,
  readU64,
  readWord,
} from './profile-reader.ts'
import type { ArgTest } from './rule-tree.ts'
import { isForeignCall, isSyscallName } from './syscall-table.ts'

/** For which process a profile is compiled. */
export interface ResolveFacts {
  arch: SeccompArch
  /** Of the bounding set, `CAP_…`. */
  capabilities: readonly string[]
  /** `uname -r`. */
  kernel: string
  /** Whether a name that no kernel has may stand in a profile. */
  unknownSyscalls: 'error' | 'ignore'
}

/** A profile for one process: conditions decided, defaults filled in, everything checked. */
export interface ResolvedProfile {
  /** What the program returns where no rule matches. */
  otherwise: number
  rules: ResolvedRule[]
}

export interface ResolvedRule {
  /** JSON pointer into the profile. */
  pointer: string
  names: string[]
  action: number
  args: ArgTest[]
}

const ACTIONS: Record<SeccompAction, number> = {
  ...SECCOMP_RETURN,
  SCMP_ACT_KILL: SECCOMP_RETURN.SCMP_ACT_KILL_THREAD,
}
const OPERATORS: Record<SeccompOperator, true> = {
  SCMP_CMP_EQ: true,
  SCMP_CMP_NE: true,
  SCMP_CMP_LT: true,
  SCMP_CMP_LE: true,
  SCMP_CMP_GT: true,
  SCMP_CMP_GE: true,
  SCMP_CMP_MASKED_EQ: true,
}
/** As docker knows them, by Go's name. */
const GO_ARCH: Record<SeccompArch, string> = { x64: 'amd64', arm64: 'arm64' }
const EPERM = 1

const PROFILE_KEYS = `defaultAction defaultErrnoRet defaultErrno architectures archMap flags
  listenerPath listenerMetadata syscalls`.split(/\s+/)
const RULE_KEYS = 'names name action errnoRet errno args comment includes excludes'.split(' ')

/** Throws ERR_NS_SPEC, with a JSON pointer, for a profile that is none. */
export function resolveProfile(profile: SeccompProfile, facts: ResolveFacts): ResolvedProfile {
  const top = readObject(profile, '', PROFILE_KEYS)
  checkArchitectures(top)
  checkInstallation(top)
  const otherwise = actionOf(top, 'defaultAction', ['defaultErrno', 'defaultErrnoRet'])
  const rules = readList(top, 'syscalls')
    .map(({ item, pointer }) => resolveRule(readObject(item, pointer, RULE_KEYS), facts))
    .filter((rule) => rule !== undefined)
    // libseccomp knows no rule that says what is so anyway; runc and crun leave it out
    .filter(({ action }) => action !== otherwise)
  return { otherwise, rules: rules.flatMap(oneArgumentOnce) }
}

function resolveRule(rule: Place, facts: ResolveFacts): ResolvedRule | undefined {
  const { pointer } = rule
  const names = namesOf(rule, facts.unknownSyscalls)
  const action = actionOf(rule, 'action', ['errno', 'errnoRet'])
  const args = readList(rule, 'args').map(({ item, pointer: at }) => resolveArg(item, at))
  const excluded = conditionsOf(rule, 'excludes', facts).some((holds) => holds)
  const included = conditionsOf(rule, 'includes', facts).every((holds) => holds)
  return included && !excluded ? { pointer, names, action, args } : undefined
}

function namesOf(rule: Place, unknown: ResolveFacts['unknownSyscalls']): string[] {
  const names = readTexts(rule, 'names')
  const { name } = rule.value
  if (name !== undefined && name !== '') {
    const pointer = `${rule.pointer}/name`
    if (names.length > 0) throw invalid(pointer, 'cannot be given together with names')
    names.push({ item: readText(name, pointer), pointer })
  }
  for (const { item, pointer } of names) {
    if (unknown === 'ignore' || isSyscallName(item) || isForeignCall(item)) continue
    throw invalid(
      pointer,
      `${item} is no system call of Linux`,
      'correct it, or compile with unknownSyscalls: "ignore" if it is newer than this package',
    )
  }
  return names.map(({ item }) => item)
}

function actionOf(place: Place, key: string, [name, number]: [string, string]): number {
  const action = readWord(place, key, ACTIONS)
  const errno = readErrno(place, name, number)
  if (action === 'SCMP_ACT_ERRNO' || action === 'SCMP_ACT_TRACE') {
    return (ACTIONS[action] | (errno ?? EPERM)) >>> 0
  }
  // podman's tools write 0 and "" where docker leaves it out
  if (errno === undefined || errno === 0) return ACTIONS[action]
  throw invalid(`${place.pointer}/${number}`, `goes with no ${action}`)
}

function resolveArg(item: unknown, pointer: string): ArgTest {
  const arg = readObject(item, pointer, ['index', 'value', 'valueTwo', 'op'])
  const index = readU64(arg, 'index')
  const value = readU64(arg, 'value')
  if (index === undefined || index > 5n) {
    throw invalid(`${pointer}/index`, 'must be an integer from 0 to 5')
  }
  if (value === undefined) throw invalid(`${pointer}/value`, 'is missing')
  const op = readWord(arg, 'op', OPERATORS)
  return { index: Number(index), op, value, valueTwo: readU64(arg, 'valueTwo') ?? 0n }
}

/** Two tests of one argument cannot both be asked for by libseccomp; runc makes each a rule. */
function oneArgumentOnce(rule: ResolvedRule): ResolvedRule[] {
  const indices = new Set(rule.args.map(({ index }) => index))
  if (indices.size === rule.args.length) return [rule]
  return rule.args.map((arg) => ({ ...rule, args: [arg] }))
}

/** What is asked about, and whether it is so. */
function conditionsOf(rule: Place, key: 'includes' | 'excludes', facts: ResolveFacts): boolean[] {
  const condition = rule.value[key]
  if (condition === undefined || condition === null) return []
  const pointer = `${rule.pointer}/${key}`
  const place = readObject(condition, pointer, ['caps', 'arches', 'minKernel'])
  const arches = readTexts(place, 'arches').map(({ item }) => item)
  const { minKernel } = place.value
  return [
    ...readTexts(place, 'caps').map(({ item }) => facts.capabilities.includes(item)),
    ...(arches.length > 0 ? [arches.includes(GO_ARCH[facts.arch])] : []),
    ...(minKernel === undefined || minKernel === null || minKernel === ''
      ? []
      : [isAtLeast(facts.kernel, readVersion(minKernel, `${pointer}/minKernel`))]),
  ]
}

function readVersion(value: unknown, pointer: string): [number, number] {
  const match = /^(\d+)\.(\d+)$/.exec(readText(value, pointer))
  if (match === null) throw invalid(pointer, 'must be a version such as 4.8')
  return [Number(match[1]), Number(match[2])]
}

function isAtLeast(kernel: string, [major, minor]: [number, number]): boolean {
  const match = /^(\d+)\.(\d+)/.exec(kernel)
  if (match === null) throw new TypeError(`expected a kernel release but received ${kernel}`)
  const [theirs, theirMinor] = [Number(match[1]), Number(match[2])]
  return theirs > major || (theirs === major && theirMinor >= minor)
}

/** Nothing follows from them, as other architectures are never let in; but they must be right. */
function checkArchitectures(top: Place): void {
  const architectures = readTexts(top, 'architectures')
  const map = readList(top, 'archMap').map(({ item, pointer }) =>
    readObject(item, pointer, ['architecture', 'subArchitectures']),
  )
  if (architectures.length > 0 && map.length > 0) {
    throw invalid('/archMap', 'cannot be given together with architectures')
  }
  const own = map.map(({ value, pointer }) => {
    const at = `${pointer}/architecture`
    return { item: readText(value['architecture'], at), pointer: at }
  })
  const others = map.flatMap((entry) => readTexts(entry, 'subArchitectures'))
  for (const { item, pointer } of [...architectures, ...own, ...others]) {
    if (!/^SCMP_ARCH_[A-Z0-9_]+$/.test(item)) throw invalid(pointer, 'must be SCMP_ARCH_…')
  }
}

const HARMLESS_FLAGS = ['SECCOMP_FILTER_FLAG_TSYNC', 'SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV']

/** How the filter is to be installed, which is not for a profile to say here. */
function checkInstallation(top: Place): void {
  for (const { item, pointer } of readTexts(top, 'flags')) {
    if (!HARMLESS_FLAGS.includes(item)) throw invalid(pointer, `${item} is not supported`)
  }
  for (const key of ['listenerPath', 'listenerMetadata']) {
    const { [key]: value } = top.value
    if (value === undefined || value === '') continue
    throw invalid(`/${key}`, 'is not supported', 'answer calls by the onSyscall option of launch')
  }
}
