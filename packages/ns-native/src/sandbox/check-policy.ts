import { PolicyError } from '../errors.ts'
import { DEGRADABLE, type NetPolicy, type Policy } from './policy.ts'

type Names<T> = Readonly<Record<keyof Required<T>, true>>

// Records, not lists: the compiler sees to it that none is missing.
const POLICY: Names<Policy> = {
  preset: true,
  system: true,
  files: true,
  net: true,
  limits: true,
  env: true,
  cwd: true,
  idMapping: true,
  capabilities: true,
  seccomp: true,
  nestedNamespaces: true,
  onSyscall: true,
  rootEmulation: true,
  isolation: true,
  hostname: true,
  noNewPrivileges: true,
  allowDegraded: true,
}
const GROUPS: { [Group in 'files' | 'limits' | 'env']: Names<NonNullable<Policy[Group]>> } = {
  files: {
    readOnly: true,
    readWrite: true,
    overlay: true,
    scratch: true,
    hide: true,
    protect: true,
  },
  limits: { memory: true, cpus: true, pids: true, wall: true, cpu: true, output: true },
  env: { pass: true, set: true },
}
type NetOf<Mode> = NetPolicy extends infer Net
  ? Net extends { mode: infer Modes }
    ? Mode extends Modes
      ? Net
      : never
    : never
  : never

const NET_MODES: { [Mode in NetPolicy['mode']]: Names<NetOf<Mode>> } = {
  none: { mode: true },
  host: { mode: true },
  pasta: { mode: true },
  slirp4netns: { mode: true },
  join: { mode: true, path: true },
  proxied: {
    mode: true,
    allow: true,
    deny: true,
    onRequest: true,
    privateAddresses: true,
    lookup: true,
  },
}

/**
 * Throws PolicyError for a name that does not exist, wherever it stands: a misspelt protection
 * protects from nothing. Values are checked where they are used, paths where they are looked up.
 */
export function checkPolicy(policy: Policy): void {
  refuseUnknown(policy, POLICY, '')
  for (const [group, names] of Object.entries(GROUPS)) {
    // the groups are named by keys of Policy
    const given = policy[group as keyof typeof GROUPS]
    if (given !== undefined) refuseUnknown(given, names, `/${group}`)
  }
  checkNet(policy.net)
  const { isolation = 'namespaces' } = policy
  const isolations = ['namespaces', 'landlock']
  if (!isolations.includes(isolation)) throw unknown('/isolation', isolation, isolations)
  policy.allowDegraded?.forEach((name, index) => {
    const pointer = `/allowDegraded/${index}`
    const known: readonly string[] = DEGRADABLE
    if (!known.includes(name)) throw unknown(pointer, name, known)
  })
}

function checkNet(net: Policy['net']): void {
  if (net === undefined) return
  if (!Object.hasOwn(NET_MODES, net.mode)) {
    throw unknown('/net/mode', String(net.mode), Object.keys(NET_MODES))
  }
  refuseUnknown(net, NET_MODES[net.mode], '/net')
}

function refuseUnknown(given: object, names: object, pointer: string): void {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new PolicyError(`${pointer}: expected an object`, { pointer })
  }
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(names, name)) throw unknown(`${pointer}/${name}`, name, Object.keys(names))
  }
}

function unknown(pointer: string, name: string, known: readonly string[]): PolicyError {
  const hint = `known are ${known.join(', ')}`
  return new PolicyError(`${pointer}: there is no ${JSON.stringify(name)}`, { pointer, hint })
}
