import { type DefaultSeccompOptions, defaultProfile } from './default-profile.ts'
import type { OrderedArg, OrderedRule } from './ordered-profile.ts'
import type { SeccompArch, SeccompArg, SeccompProfile, SeccompRule } from './profile.ts'

const ARCHITECTURES: Record<SeccompArch, string> = {
  x64: 'SCMP_ARCH_X86_64',
  arm64: 'SCMP_ARCH_AARCH64',
}

const made = new Map<string, SeccompProfile>()

/**
 * The default profile as any OCI runtime takes it (`linux.seccomp` of config.json): what
 * `defaultSeccomp` gives the program of. `compileSeccomp` makes one of it that does the same, and so
 * does libseccomp, except that it answers calls of foreign architectures in its own way.
 *
 * Every call with the same arguments returns the same object, which is not to be written to.
 */
export function defaultSeccompProfile(
  arch: SeccompArch = process.arch === 'arm64' ? 'arm64' : 'x64',
  options: DefaultSeccompOptions = {},
): SeccompProfile {
  const key = `${arch} ${options.allowNestedNamespaces === true}`
  const profile = made.get(key) ?? portableProfile(arch, options)
  made.set(key, profile)
  return profile
}

function portableProfile(arch: SeccompArch, options: DefaultSeccompOptions): SeccompProfile {
  const { defaultAction, defaultErrnoRet, syscalls } = defaultProfile(options)
  // by the name of a call: which of its arguments has been asked about
  const special = new Map<string, number>()
  return {
    defaultAction,
    ...(defaultErrnoRet === undefined ? {} : { defaultErrnoRet }),
    architectures: [ARCHITECTURES[arch]],
    syscalls: syscalls.flatMap((rule) => portable(rule, special)),
  }
}

/**
 * Among libseccomp's rules a general one beats the special ones of the same call, wherever it
 * stands. Where ours comes after special ones it is made special, too: "an argument is at least 0" is
 * always true, and is asked last.
 */
function portable(rule: OrderedRule, special: Map<string, number>): SeccompRule[] {
  const { names, args, ...answer } = rule
  const [first] = args ?? []
  if (args !== undefined && first !== undefined) {
    for (const name of names) special.set(name, first.index)
    return [{ ...answer, names: [...names], args: args.map(portableArg) }]
  }
  const general: string[] = []
  const rules: SeccompRule[] = []
  for (const name of names) {
    const index = special.get(name)
    if (index === undefined) general.push(name)
    else {
      rules.push({ ...answer, names: [name], args: [{ index, value: 0, op: 'SCMP_CMP_GE' }] })
    }
  }
  return general.length === 0 ? rules : [{ ...answer, names: general }, ...rules]
}

function portableArg({ index, value, valueTwo, op }: OrderedArg): SeccompArg {
  return { index, value, ...(valueTwo === undefined ? {} : { valueTwo }), op }
}
