import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DEFAULT_MASKED_PATHS, DEFAULT_READONLY_PATHS } from '../defaults.ts'
import { PolicyError, UnsupportedError } from '../errors.ts'
import { type IdMappingFacts, selectIdMapping } from '../id-mapping.ts'
import type {
  IdMappingPlan,
  LaunchSpec,
  Mount,
  NamespaceType,
  ProcessSpec,
} from '../launch-spec.ts'
import { defaultSeccomp } from '../seccomp/default-filter.ts'
import type { Surroundings } from '../surroundings.ts'
import { hostSystem, systemPath } from './host-system.ts'
import { checkOptionNames, passedOn } from './option-names.ts'
import { PrivateRoot } from './private-root.ts'
import type { SpawnOptions } from './spawn-options.ts'

/** What the plan depends on besides the options. */
export interface SpawnContext {
  around: Surroundings
  /** Asked only where ids get mapped. */
  ids: () => IdMappingFacts
}

/** A spec, and the directory that was made for it alone. */
export interface PlannedSpawn {
  spec: LaunchSpec
  root?: PrivateRoot
}

const NEW_BY_DEFAULT: readonly NamespaceType[] = [
  'user',
  'mount',
  'pid',
  'network',
  'ipc',
  'uts',
  'cgroup',
]
const TMP_BYTES = 256 * 1024 * 1024

/**
 * The launch spec for these options. With the root `'system'` a directory is made for it, which the
 * monitor removes. Throws PolicyError, UnsupportedError.
 */
export function planSpawn(
  command: readonly [string, ...string[]],
  options: SpawnOptions,
  context: SpawnContext,
): PlannedSpawn {
  checkOptionNames(options)
  const { spec, process } = passedOn(options)
  const namespaces = newNamespaces(options.namespaces)
  const base: LaunchSpec = {
    mounts: [],
    maskedPaths: [],
    readonlyPaths: [],
    ...spec,
    namespaces,
    ...(namespaces.includes('user') ? { idMapping: chooseIds(options.idMapping, context) } : {}),
    process: { ...chooseProcess(command, options, context.around), ...process },
  }
  const { root = 'system' } = options
  if (root === 'host') return { spec: base }
  if (root !== 'system') return { spec: { ...base, root } }
  return inSystemRoot(base, context.around)
}

function newNamespaces(chosen: SpawnOptions['namespaces'] = {}): NamespaceType[] {
  for (const [type, choice] of Object.entries(chosen)) {
    const pointer = `/namespaces/${type}`
    if (choice === 'new' || choice === 'host' || choice === undefined) continue
    throw new PolicyError(`${pointer}: expected 'new' or 'host'`, { pointer })
  }
  const others = Object.keys(chosen).filter((type) => !NEW_BY_DEFAULT.some((one) => one === type))
  // a name that does not exist is refused when the spec is checked
  const all = [...NEW_BY_DEFAULT, ...others] as NamespaceType[]
  return all.filter((type) => (chosen[type] ?? 'new') === 'new')
}

function chooseIds(
  wanted: SpawnOptions['idMapping'] = 'single',
  { ids }: SpawnContext,
): IdMappingPlan {
  if (typeof wanted === 'object') return wanted
  const facts = ids()
  if (wanted === 'single') return callerOnly(facts)
  const selected = selectIdMapping(facts)
  if (wanted === 'auto' || selected.kind !== 'single') return selected
  throw new UnsupportedError('cannot map more than one id', {
    missing: ['id-mapping'],
    hint: selected.note,
  })
}

function callerOnly({ uid, gid }: IdMappingFacts): IdMappingPlan {
  return {
    kind: 'single',
    uidMappings: [{ containerID: 0, hostID: uid, size: 1 }],
    gidMappings: [{ containerID: 0, hostID: gid, size: 1 }],
    key: 'single',
  }
}

function chooseProcess(
  command: readonly string[],
  options: SpawnOptions,
  around: Surroundings,
): ProcessSpec {
  const { uid = 0, gid = 0, env, cwd = '/', pty } = options
  const seccomp = options.seccomp ?? 'default'
  return {
    args: command,
    env: environment(env ?? { PATH: systemPath(around.execPath), HOME: '/tmp' }),
    cwd: resolve(around.cwd, cwd instanceof URL ? fileURLToPath(cwd) : cwd),
    uid,
    gid,
    additionalGids: [],
    umask: 0o022,
    capabilities: [],
    noNewPrivileges: true,
    ...(pty === undefined ? {} : { terminal: pty }),
    ...(seccomp === 'none' ? {} : { seccomp: filter(seccomp) }),
  }
}

function filter(seccomp: 'default' | Uint8Array): Uint8Array {
  return seccomp === 'default' ? defaultSeccomp() : seccomp
}

function environment(env: Readonly<Record<string, string | undefined>>): string[] {
  return Object.entries(env).flatMap(([key, value]) =>
    value === undefined ? [] : `${key}=${value}`,
  )
}

/** The root that is made of this machine's system. */
function inSystemRoot(base: LaunchSpec, around: Surroundings): PlannedSpawn {
  const hasOwnNetwork = base.namespaces.includes('network')
  const { links, files, mounts } = hostSystem(around.execPath, hasOwnNetwork ? 'other' : 'host')
  const all = [...mounts, ...KERNEL_MOUNTS, ...base.mounts]
  const root = new PrivateRoot(around.temporary)
  root.furnish(links, files)
  root.prepare(all)
  const { maskedPaths, readonlyPaths, monitor } = base
  return {
    root,
    spec: {
      ...base,
      root: { path: root.path, readonly: true },
      mounts: all,
      maskedPaths: [...DEFAULT_MASKED_PATHS, ...maskedPaths],
      readonlyPaths: [...DEFAULT_READONLY_PATHS, ...readonlyPaths],
      monitor: { ...monitor, removeOnExit: [...(monitor?.removeOnExit ?? []), root.path] },
    },
  }
}

/** What every root needs that is not a directory of the host. */
export const KERNEL_MOUNTS: readonly Mount[] = [
  { type: 'proc', destination: '/proc', nosuid: true, nodev: true, noexec: true },
  { type: 'dev', destination: '/dev' },
  {
    type: 'tmpfs',
    destination: '/tmp',
    mode: 0o1777,
    sizeBytes: TMP_BYTES,
    nosuid: true,
    nodev: true,
  },
]
