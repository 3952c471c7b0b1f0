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
  return [
    ...files(whole),
    network(whole.net),
    ...rights(whole),
    ...limits(whole),
    surroundings(whole),
  ]
    .filter((sentence) => sentence !== undefined)
    .join('\n')
}

function files({ files = {}, system = true }: Policy): (string | undefined)[] {
  const scratch = files.scratch ?? ['/tmp']
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
    case 'host':
      return 'Has the network of this machine, with all that listens on its loopback.'
  }
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
  return limits.memory === undefined ? [] : [`Uses at most ${limits.memory} of memory.`]
}

function surroundings({ env = {} }: Policy): string {
  const names = [...Object.keys(env.set ?? {}), ...(env.pass ?? [])]
  return `Gets PATH${['', 'HOME', ...names].join(', ')} in its environment, and no other variable, descriptor or process of the caller.`
}

function sentence(verb: string, paths: readonly PathLike[] = []): string | undefined {
  return paths.length === 0 ? undefined : `${verb} ${paths.map((path) => String(path)).join(', ')}.`
}

function pathOf(entry: PathLike | { path: PathLike }): PathLike {
  return typeof entry === 'object' && 'path' in entry ? entry.path : entry
}
