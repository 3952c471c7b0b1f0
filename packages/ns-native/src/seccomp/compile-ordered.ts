import { SECCOMP_RETURN } from './bpf.ts'
import { compileRules } from './compile-rules.ts'
import type { OrderedProfile, OrderedRule } from './ordered-profile.ts'
import type { SeccompArch } from './profile.ts'
import { assembleProgram, returns } from './program.ts'
import { isSyscallName, syscallNumbers } from './syscall-table.ts'

const EPERM = 1

/**
 * Compiles a profile of our own kind into the bytes of a classic BPF program.
 *
 * The same profile always gives the same bytes; {@link assembleProgram} says what else they do.
 *
 * @throws TypeError when a rule names what is no system call anywhere
 */
export function compileOrdered(profile: OrderedProfile, arch: SeccompArch): Uint8Array {
  const rulesByName = groupByName(profile.syscalls)
  const otherwise = returns(actionValue(profile.defaultAction, profile.defaultErrnoRet))
  const answers = new Map(
    [...syscallNumbers(arch)].map(([name, number]) => {
      const rules = (rulesByName.get(name) ?? []).map(({ action, errnoRet, args }) => ({
        action: actionValue(action, errnoRet),
        args: args ?? [],
      }))
      return [number, compileRules(rules, otherwise)]
    }),
  )
  return assembleProgram(answers, otherwise, arch)
}

function groupByName(rules: readonly OrderedRule[]): Map<string, OrderedRule[]> {
  const byName = new Map<string, OrderedRule[]>()
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

function actionValue(action: OrderedRule['action'], errno = EPERM): number {
  return action === 'SCMP_ACT_ERRNO' ? SECCOMP_RETURN[action] | errno : SECCOMP_RETURN[action]
}
