import { checkPolicy } from './check-policy.ts'
import type { NetPolicy, PathLike, Policy } from './policy.ts'
import { withPreset } from './presets.ts'

/**
 * What a policy means, one sentence per line, for people. Looks nothing up: it is about any host.
 * Throws PolicyError for a policy with words that do not exist.
 */
export function explain(policy: Policy): string {
  const whole = withPreset(policy)
  checkPolicy(whole)
  const alone = whole.isolation !== 'landlock'
  return [
    ...files(whole, alone),
    alone ? network(whole.net) : tcp(whole.net),
    ...rights(whole),
    ...limits(whole),
    surroundings(whole, alone),
  ]
    .filter((sentence) => sentence !== undefined)
    .join('\n')
}

function files({ files = {}, system = true }: Policy, alone: boolean): (string | undefined)[] {
  const scratch = files.scratch ?? (alone ? ['/tmp'] : [])
  return [
    system
      ? 'Sees the programs and libraries of this machine, and cannot change them.'
      : 'Sees no program of this machine.',
    sentence('Reads', files.readOnly),
    sentence('Reads and writes', files.readWrite),
    sentence('Reads, and writes to a copy of,', files.overlay),
    sentence(
      'Has empty scratch space in',
      scratch.map((entry) => pathOf(entry)),
    ),
    sentence('Does not see', files.hide),
    sentence('Cannot change', files.protect),
    'Sees no other file.',
  ]
}

function network(net: NetPolicy = { mode: 'none' }): string {
  switch (net.mode) {
    case 'none':
      return 'Has no network but a loopback of its own.'
    case 'join':
      return `Has the network of ${net.path}.`
    case 'proxied':
      return proxied(net)
    case 'pasta':
    case 'slirp4netns':
      return `Reaches every host that this machine does, by ${net.mode}, but not what listens on its loopback.`
    case 'host':
      return 'Has the network of this machine, with all that listens on its loopback.'
  }
}

/** Of a program in the caller's network. */
function tcp(net: NetPolicy = { mode: 'none' }): string {
  if (net.mode === 'host') return network(net)
  return 'Makes and takes no TCP connection; other protocols, such as UDP, are open to it.'
}

function proxied({ allow = [], deny = [], onRequest }: Extract<NetPolicy, { mode: 'proxied' }>) {
  const reached = allow.length === 0 ? 'no host' : allow.join(', ')
  const but = deny.length === 0 ? '' : `, but not ${deny.join(', ')}`
  const others = onRequest === undefined ? 'nothing else' : 'others when asked and allowed'
  return `Reaches ${reached}${but} by a proxy, and ${others}.`
}

function rights(policy: Policy): (string | undefined)[] {
  const { capabilities = [], noNewPrivileges = true, seccomp = 'default' } = policy
  return [
    policy.idMapping === 'ranges' || policy.idMapping === 'auto'
      ? 'Is root over ids of its own.'
      : 'Is the caller, under the name of root.',
    capabilities.length === 0
      ? 'Has no capability.'
      : `Has, over what is its own, ${capabilities.join(', ')}.`,
    noNewPrivileges ? 'Gains nothing by set-user-ID programs.' : undefined,
    seccomp === 'none'
      ? 'May make any system call.'
      : `Makes the system calls that ${seccomp === 'default' ? 'containers usually may' : 'its own filter allows'}.`,
    policy.nestedNamespaces === true ? 'May make user namespaces.' : 'Makes no user namespaces.',
  ]
}

function limits({ limits = {} }: Policy): string[] {
  const all = [
    [limits.memory, 'of memory'],
    [limits.cpus, 'processors'],
    [limits.pids, 'processes'],
    [limits.wall, 'of time'],
    [limits.cpu, 'of processor time'],
    [limits.output, 'of output'],
  ] as const
  const given = all.filter(([amount]) => amount !== undefined)
  if (given.length === 0) return ['Uses as much as there is.']
  const list = given.map(([amount, what]) => `${withUnit(amount, what)} ${what}`).join(', ')
  return [`Uses at most ${list}.`]
}

/** Plain numbers are bytes or milliseconds. */
function withUnit(amount: string | number | undefined, what: string): string {
  if (typeof amount !== 'number' || what === 'processors' || what === 'processes')
    return `${amount}`
  return what.endsWith('time') ? `${amount} ms` : `${amount} bytes`
}

function surroundings({ env = {} }: Policy, alone: boolean): string {
  const names = [...Object.keys(env.set ?? {}), ...(env.pass ?? [])]
  const variables = ['PATH', 'HOME', ...names].join(', ')
  return alone
    ? `Gets ${variables} in its environment, and no other variable, descriptor or process of the caller.`
    : `Gets ${variables} in its environment, and runs among the processes of the caller, which it sees but cannot signal.`
}

function sentence(verb: string, paths: readonly PathLike[] = []): string | undefined {
  const names = paths.map((path) => (path === '.' ? 'the current directory' : String(path)))
  return names.length === 0 ? undefined : `${verb} ${names.join(', ')}.`
}

function pathOf(entry: PathLike | { path: PathLike }): PathLike {
  return typeof entry === 'object' && 'path' in entry ? entry.path : entry
}
