import { PolicyError, UnsupportedError } from '../errors.ts'
import { HOST_ETC } from '../host-system.ts'
import type { LandlockPath, LandlockSpec } from '../landlock-rights.ts'
import type { SpawnContext } from '../spawn/plan-spawn.ts'
import type { SpawnOptions } from '../spawn/spawn-options.ts'
import { hasPrivateNode } from '../spawn/system-root.ts'
import { isWithin } from './paths.ts'
import { findPlaces, type Place } from './places.ts'
import { commonOptions, environment, workingDirectory } from './plan-policy.ts'
import type { Policy } from './policy.ts'

const TREES = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/nix/store', '/gnu/store']
const DEVICES = ['null', 'zero', 'full', 'random', 'urandom', 'tty'].map((name) => `/dev/${name}`)

/**
 * The options of `spawn` for a policy without namespaces: the program is the caller's, in the
 * caller's world, and Landlock keeps it from what the policy does not name. What Landlock cannot do
 * is an error: it only ever allows, so nothing can be hidden in what is visible.
 */
export function planLandlock(policy: Policy, { around, ids }: SpawnContext): SpawnOptions {
  const { files = {}, system = true } = policy
  refuseWhatNeedsMounts(policy)
  const places = findPlaces({ ...files, scratch: [] }, around)
  refuseHiding(places)
  const { uid, gid, groups } = ids()
  return {
    ...commonOptions(policy),
    namespaces: {
      user: 'host',
      mount: 'host',
      pid: 'host',
      network: 'host',
      ipc: 'host',
      uts: 'host',
      cgroup: 'host',
    },
    root: 'host',
    uid,
    gid,
    additionalGids: groups,
    cwd: workingDirectory(policy, places, around),
    env: environment(policy, around),
    landlock: {
      fs: [
        ...(system ? systemRules(around.execPath) : []),
        ...places.filter(({ access }) => access !== 'hide').map(ruleOf),
      ],
      ...networkRules(policy),
      scope: ['abstract_unix_socket', 'signal'],
      ...(policy.allowDegraded?.includes('landlock.scope') === true
        ? { degraded: ['abstract_unix_socket', 'signal'] }
        : {}),
    },
  }
}

function systemRules(execPath: string): LandlockPath[] {
  const node = hasPrivateNode(execPath) ? [execPath] : []
  return [
    ...[...TREES, ...node].map((path) => rule(path, ['read', 'execute'])),
    ...HOST_ETC.map((name) => rule(`/etc/${name}`, ['read'])),
    ...DEVICES.map((path) => rule(path, ['read', 'write'])),
  ]
}

function rule(path: string, access: LandlockPath['access']): LandlockPath {
  return { path, access, optional: true }
}

function ruleOf({ path, access }: Place): LandlockPath {
  const write = access === 'readWrite' ? (['write'] as const) : []
  return { path, access: ['read', 'execute', ...write] }
}

function networkRules({ net = { mode: 'none' }, allowDegraded = [] }: Policy) {
  if (net.mode === 'host') return {}
  if (net.mode !== 'none') throw needsNamespaces('/net/mode', 'net')
  if (allowDegraded.includes('net.udp')) {
    return { net: { bindTcp: [], connectTcp: [] } } satisfies LandlockSpec
  }
  throw new UnsupportedError('Landlock keeps a program from TCP, but not from other protocols', {
    missing: ['net.udp'],
    hint: `say allowDegraded: ['net.udp'], or net: { mode: 'host' }`,
  })
}

function refuseWhatNeedsMounts({ files = {}, idMapping, hostname }: Policy): void {
  if ((files.overlay ?? []).length > 0) throw needsNamespaces('/files/overlay', 'overlay')
  if ((files.scratch ?? []).length > 0) throw needsNamespaces('/files/scratch', 'scratch')
  if (hostname !== undefined) throw needsNamespaces('/hostname', 'hostname')
  if (idMapping !== undefined && idMapping !== 'single') throw needsNamespaces('/idMapping', 'ids')
}

function needsNamespaces(pointer: string, what: string): PolicyError {
  return new PolicyError(`${pointer}: there is no ${what} of its own without namespaces`, {
    pointer,
    hint: `isolation: 'landlock' restricts what there is, and adds nothing`,
  })
}

function refuseHiding(places: readonly Place[]): void {
  const visible = places.filter(({ access }) => access === 'readOnly' || access === 'readWrite')
  for (const { access, path, pointer } of places) {
    if (access !== 'hide' && access !== 'protect') continue
    const around = visible.find((place) => isWithin(path, place.path))
    if (around === undefined || (access === 'protect' && around.access === 'readOnly')) continue
    throw new PolicyError(`${pointer}: Landlock cannot except ${path} from ${around.path}`, {
      pointer,
      hint: 'name what is visible more narrowly',
    })
  }
}
