import { release } from 'node:os'
import { interpretSeccomp, type SeccompCall, type SeccompVerdict } from './interpret.ts'
import type { SeccompArch, SeccompProfile } from './profile.ts'
import { invalid } from './profile-reader.ts'
import { assembleProgram, returns } from './program.ts'
import { type ResolvedProfile, resolveProfile } from './resolve-profile.ts'
import { addRule, type CallRules, decide } from './rule-tree.ts'
import { syscallNumbers } from './syscall-table.ts'
import { treeCode } from './tree-code.ts'

/** For which process a profile is compiled. */
export interface CompileSeccompOptions {
  /** This machine's unless given. */
  arch?: SeccompArch
  /** The process's bounding set (`CAP_…`), which docker's `includes` and `excludes` ask about; none unless given. */
  capabilities?: readonly string[]
  /** As `uname -r` tells it, for docker's `minKernel`; this machine's unless given. */
  kernel?: string
  /**
   * What to do about a name that no architecture has: `error`, unless given, as it is most likely
   * misspelt and would leave a call unguarded; `ignore` as docker does, for profiles that name calls
   * newer than this package.
   */
  unknownSyscalls?: 'error' | 'ignore'
}

/** What happens to a call, and by which rule. */
export type SeccompExplanation = SeccompVerdict & {
  /** JSON pointer into the profile; missing where it is no rule that decides. */
  rule?: string
}

/** A profile as the kernel takes it. */
export interface CompiledSeccomp {
  /** A classic BPF program, fit for `process.seccomp` of a launch. */
  program: Uint8Array
  /** What happens to a call; `arch` is that of the program unless given. Throws TypeError for no call. */
  explain(call: Omit<SeccompCall, 'arch'> & { arch?: SeccompCall['arch'] }): SeccompExplanation
}

/**
 * Compiles a docker or OCI profile for one process.
 *
 * Calls of a foreign architecture kill the process, and x32 calls get ENOSYS, whatever the profile
 * says of other architectures. The same profile and options always give the same bytes.
 * Throws ERR_NS_SPEC, with a JSON pointer, for a profile that is not valid or too long.
 */
export function compileSeccomp(
  profile: SeccompProfile,
  options: CompileSeccompOptions = {},
): CompiledSeccomp {
  const arch = options.arch ?? (process.arch === 'arm64' ? 'arm64' : 'x64')
  const resolved = resolveProfile(profile, {
    arch,
    capabilities: options.capabilities ?? [],
    kernel: options.kernel ?? release(),
    unknownSyscalls: options.unknownSyscalls ?? 'error',
  })
  const calls = collectCalls(resolved, arch)
  const program = assemble(calls, resolved.otherwise, arch)
  return {
    program,
    explain(call) {
      const asked = { arch, ...call }
      const verdict = interpretSeccomp(program, asked)
      const rule = asked.arch === arch ? ruleOf(calls, asked) : undefined
      return rule === undefined ? verdict : { ...verdict, rule }
    },
  }
}

function collectCalls({ rules }: ResolvedProfile, arch: SeccompArch): Map<number, CallRules> {
  const numbers = syscallNumbers(arch)
  const calls = new Map<number, CallRules>()
  for (const { pointer, names, action, args } of rules) {
    for (const name of names) {
      const number = numbers.get(name)
      if (number === undefined) continue // of another architecture
      const added = addRule(calls.get(number), { value: action, rule: pointer }, args)
      if (added === false) throw invalid(pointer, `contradicts an earlier rule about ${name}`)
      calls.set(number, added)
    }
  }
  return calls
}

function assemble(
  calls: ReadonlyMap<number, CallRules>,
  otherwise: number,
  arch: SeccompArch,
): Uint8Array {
  const answers = [...calls].map(([number, rules]) => {
    const code =
      'answer' in rules ? [returns(rules.answer.value)] : treeCode(rules.level, otherwise)
    return [number, code] as const
  })
  try {
    return assembleProgram(new Map(answers), returns(otherwise), arch)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw invalid('/syscalls', `is longer than the kernel takes: ${error.message}`)
  }
}

function ruleOf(calls: ReadonlyMap<number, CallRules>, call: SeccompCall): string | undefined {
  const { syscall, args = [] } = call
  const number =
    typeof syscall === 'number'
      ? syscall
      : syscallNumbers(call.arch === 'arm64' ? 'arm64' : 'x64').get(syscall)
  const rules = number === undefined ? undefined : calls.get(number)
  if (rules === undefined) return undefined
  return ('answer' in rules ? rules.answer : decide(rules.level, args))?.rule
}
