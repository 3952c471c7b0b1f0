import { DEFAULT_CAPABILITIES } from '../defaults.ts'
import { PolicyError } from '../errors.ts'
import type { NetPolicy, Policy, PresetName } from './policy.ts'

// Plain data: print them, spread them, change them.

/** Untrusted code: this machine's programs, 64 MB of scratch space, 64 processes, and nothing else. */
export const strict = {
  files: { scratch: [{ path: '/tmp', size: '64M' }] },
  net: { mode: 'none' },
  limits: { pids: 64, output: '16M' },
} as const satisfies Policy

/** Where people keep what opens other doors. */
const SECRETS = [
  '~/.ssh',
  '~/.gnupg',
  '~/.aws',
  '~/.azure',
  '~/.config/gcloud',
  '~/.config/gh',
  '~/.docker',
  '~/.kube',
  '~/.netrc',
  '~/.npmrc',
  '~/.pypirc',
  '~/.git-credentials',
  '~/.password-store',
  '~/.local/share/keyrings',
  '**/.env',
  '**/.env.*',
  '**/*.pem',
  '**/id_{rsa,dsa,ecdsa,ed25519}',
] as const

/** What runs later, outside, with the caller's rights. */
const RUN_LATER = [
  '**/.git/hooks',
  '**/.git/config',
  '**/.vscode',
  '**/.idea',
  '**/.envrc',
  '**/.husky',
] as const

/** A coding agent's commands: the project writable, but not what runs outside later; no secrets; no host unless `net.allow` names it. */
export const agent = {
  files: { readWrite: ['.'], scratch: ['/tmp'], hide: SECRETS, protect: RUN_LATER },
  net: { mode: 'proxied' },
} as const satisfies Policy

/** A build: the project writable, no host unless `net.allow` names it. */
export const build = {
  files: { readWrite: ['.'], scratch: ['/tmp'], hide: SECRETS },
  net: { mode: 'proxied' },
} as const satisfies Policy

/** A test: the project read-only, a loopback of its own, always the same host name. */
export const test = {
  files: { readOnly: ['.'], scratch: ['/tmp'], hide: SECRETS },
  net: { mode: 'none' },
  hostname: 'test',
} as const satisfies Policy

/** What an OCI container's root may do, with the ids that this user has. */
export const container = {
  idMapping: 'auto',
  capabilities: DEFAULT_CAPABILITIES,
  hostname: 'container',
} as const satisfies Policy

/** For hosts that forbid namespaces: the caller's world, but for files and TCP. Not as tight as the others. */
export const landlock = {
  isolation: 'landlock',
  net: { mode: 'none' },
  allowDegraded: ['net.udp'],
} as const satisfies Policy

/** The presets by name. */
export const presets = { strict, agent, build, test, container, landlock } as const

/** The policy with its preset under it: each group is laid over the preset's, key by key. */
export function withPreset(policy: Policy): Policy {
  const { preset, ...own } = policy
  if (preset === undefined) return policy
  if (!Object.hasOwn(presets, preset)) throw noSuchPreset(preset)
  const base: Policy = presets[preset]
  return {
    ...base,
    ...own,
    ...overlaid('files', base, own),
    ...overlaid('limits', base, own),
    ...overlaid('env', base, own),
    ...overlaidNet(base, own),
  }
}

function overlaid<Group extends 'files' | 'limits' | 'env'>(
  group: Group,
  base: Policy,
  own: Policy,
): Pick<Policy, Group> | undefined {
  if (base[group] === undefined || own[group] === undefined) return undefined
  return { [group]: { ...base[group], ...own[group] } } as Pick<Policy, Group> // the one key it has
}

/** Keys of another mode would mean nothing. */
function overlaidNet({ net: base }: Policy, { net: own }: Policy): Pick<Policy, 'net'> | undefined {
  if (base === undefined || own === undefined || base.mode !== own.mode) return undefined
  return { net: { ...base, ...own } as NetPolicy } // of one mode, and so is what is laid over it
}

function noSuchPreset(name: PresetName): PolicyError {
  const hint = `known are ${Object.keys(presets).join(', ')}`
  return new PolicyError(`/preset: there is no ${JSON.stringify(name)}`, {
    pointer: '/preset',
    hint,
  })
}
