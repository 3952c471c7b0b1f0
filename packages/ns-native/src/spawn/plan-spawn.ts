import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DEFAULT_READONLY_PATHS } from '../defaults.ts'
import { PolicyError, UnsupportedError } from '../errors.ts'
import { type IdMappingFacts, selectIdMapping } from '../id-mapping.ts'
import type { IdMappingPlan, LaunchSpec, NamespaceType, ProcessSpec } from '../launch-spec.ts'
import { defaultMaskedPaths } from '../masked-paths.ts'
import { compileSeccomp } from '../seccomp/compile.ts'
import { defaultSeccomp } from '../seccomp/default-filter.ts'
import type { Surroundings } from '../surroundings.ts'
import { checkOptionNames, passedOn } from './option-names.ts'
import type { SpawnOptions } from './spawn-options.ts'
import { KERNEL_MOUNTS, nodeMounts, scratch, systemMounts, systemPath } from './system-root.ts'

/** What the plan depends on besides the options. */
export interface SpawnContext {
  around: Surroundings
  /** Asked only where ids matter. */
  ids: () => IdMappingFacts & { groups: readonly number[] }
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
/** It holds mount points and small files only. */
const ROOT_BYTES = 1024 * 1024

/** The launch spec for these options. Throws PolicyError, UnsupportedError. */
export function planSpawn(
  command: readonly [string, ...string[]],
  options: SpawnOptions,
  context: SpawnContext,
): LaunchSpec {
  checkOptionNames(options)
  const { spec } = passedOn(options)
  const { created, joined } = chooseNamespaces(options)
  const ownUsers = created.includes('user')
  const base: LaunchSpec = {
    mounts: [],
    maskedPaths: [],
    readonlyPaths: [],
    ...(ownUsers && options.nestedNamespaces !== true ? { maxUserNamespaces: 0 } : {}),
    ...spec,
    ...(options.timeout === undefined
      ? {}
      : { limits: { ...spec.limits, wallMs: options.timeout } }),
    namespaces: created,
    ...(Object.keys(joined).length === 0 ? {} : { joinNamespaces: joined }),
    ...(ownUsers ? { idMapping: chooseIds(options.idMapping, context) } : {}),
    process: planProcess(command, options, context),
  }
  const { root = 'system' } = options
  if (root === 'host') return base
  if (root !== 'system') return { ...base, root }
  return inSystemRoot(base, context.around)
}

/** Those to create and those to join; what is neither stays the caller's. */
function chooseNamespaces({ namespaces: chosen = {}, joinNamespaces }: SpawnOptions) {
  const joined: Partial<Record<NamespaceType, string>> = { ...joinNamespaces }
  const others = Object.keys(chosen).filter((type) => !NEW_BY_DEFAULT.some((one) => one === type))
  // a name that does not exist is refused when the spec is checked
  const all = [...NEW_BY_DEFAULT, ...others] as NamespaceType[]
  for (const type of all) {
    const choice = chosen[type]
    if (choice === undefined || choice === 'new' || choice === 'host') continue
    const pointer = `/namespaces/${type}`
    if (typeof choice !== 'object' || typeof choice.join !== 'string') {
      const expected = `expected 'new', 'host' or { join: path }`
      throw new PolicyError(`${pointer}: ${expected}`, { pointer })
    }
    joined[type] = choice.join
  }
  const created = all.filter(
    (type) => joined[type] === undefined && (chosen[type] ?? 'new') === 'new',
  )
  return { created, joined }
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

/** The part of the spec that is about the program itself. */
export function planProcess(
  command: readonly [string, ...string[]],
  options: SpawnOptions,
  { around }: Pick<SpawnContext, 'around'>,
): ProcessSpec {
  const { uid = 0, gid = 0, env, cwd = '/', pty } = options
  const seccomp = filter(options)
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
    ...(seccomp === undefined ? {} : { seccomp }),
    ...passedOn(options).process,
  }
}

function filter({ seccomp = 'default', capabilities = [], ...options }: SpawnOptions) {
  const allowNestedNamespaces = options.nestedNamespaces === true
  if (seccomp === 'none') return undefined
  if (seccomp === 'default') return defaultSeccomp(undefined, { allowNestedNamespaces })
  return seccomp instanceof Uint8Array ? seccomp : compileSeccomp(seccomp, { capabilities }).program
}

function environment(env: Readonly<Record<string, string | undefined>>): string[] {
  return Object.entries(env).flatMap(([key, value]) =>
    value === undefined ? [] : `${key}=${value}`,
  )
}

/** The root that is made of this machine's system. */
function inSystemRoot(base: LaunchSpec, around: Surroundings): LaunchSpec {
  const network = base.namespaces.includes('network') ? 'own' : 'host'
  const mounts = systemMounts(network)
  return {
    ...base,
    root: { tmpfs: { sizeBytes: ROOT_BYTES }, readonly: true },
    mounts: [
      ...mounts,
      ...KERNEL_MOUNTS,
      scratch('/tmp'),
      ...nodeMounts(around.execPath),
      ...base.mounts,
    ],
    maskedPaths: [...defaultMaskedPaths(), ...base.maskedPaths],
    readonlyPaths: [...DEFAULT_READONLY_PATHS, ...base.readonlyPaths],
  }
}
