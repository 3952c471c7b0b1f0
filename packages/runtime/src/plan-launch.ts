import { isAbsolute, join } from 'node:path'
import type {
  IdMappingPlan,
  LaunchSpec,
  MonitorSpec,
  NamespaceType,
  OverlaySpec,
  ProcessSpec,
  RootSpec,
} from '@cromwell/ns-native'
import { planCgroup } from './cgroups-path.ts'
import { RuntimeError } from './errors.ts'
import { planMounts } from './plan-mounts.ts'
import { planAttributes } from './process-attributes.ts'
import { planLimits } from './resources.ts'
import type {
  CapabilitiesConfig,
  IdMappingConfig,
  LinuxConfig,
  ProcessConfig,
  RuntimeConfig,
} from './runtime-spec.ts'
import { unsupported } from './unsupported.ts'

/** What a launch needs besides config.json. */
export interface LaunchContext {
  /** The bundle's directory, absolute. */
  bundle: string
  /** How the id mapping of config.json gets written; needed exactly when it names a user namespace. */
  idMapping?: IdMappingPlan
  /** Mount this overlay on the root path first. */
  overlay?: OverlaySpec
  /** The compiled filter, when the bundle asks for one. */
  seccomp?: Uint8Array
  /** The bundle asks for a root of one id to be taken for one with all. */
  rootEmulation?: boolean
  monitor?: MonitorSpec
}

const NAMESPACES = ['user', 'mount', 'pid', 'network', 'ipc', 'uts', 'cgroup', 'time'] as const
const DEFAULT_UMASK = 0o022
const DEFAULT_TERMINAL = { columns: 80, rows: 24 }

/**
 * What `cromwell-init` has to do so that `config` holds. Pure: nothing is read or started.
 * Throws RuntimeError ERR_RUNTIME_UNSUPPORTED or ERR_RUNTIME_CONFIG with a JSON pointer.
 */
export function planLaunch(config: RuntimeConfig, context: LaunchContext): LaunchSpec {
  const linux = config.linux ?? {}
  const { namespaces, joinNamespaces } = planNamespaces(linux)
  const idMapping = planIdMapping(linux, namespaces, context.idMapping)
  refuseSharedPropagation(linux.rootfsPropagation)
  const limits = planLimits(linux.resources ?? {})
  const cgroup = planCgroup(linux.cgroupsPath)
  return {
    namespaces,
    ...(Object.keys(joinNamespaces).length === 0 ? {} : { joinNamespaces }),
    ...(linux.timeOffsets === undefined ? {} : { timeOffsets: linux.timeOffsets }),
    ...(idMapping === undefined ? {} : { idMapping }),
    ...(config.hostname === undefined ? {} : { hostname: config.hostname }),
    ...(config.domainname ? { domainname: config.domainname } : {}),
    root: planRoot(config, context),
    mounts: planMounts(config.mounts ?? []),
    maskedPaths: linux.maskedPaths ?? [],
    readonlyPaths: linux.readonlyPaths ?? [],
    process: planProcess(config.process, context),
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
    ...(cgroup === undefined ? {} : { cgroup }),
    ...(context.monitor === undefined ? {} : { monitor: context.monitor }),
  }
}

interface Namespaces {
  namespaces: NamespaceType[]
  joinNamespaces: NonNullable<LaunchSpec['joinNamespaces']>
}

function planNamespaces(linux: LinuxConfig): Namespaces {
  const namespaces: NamespaceType[] = []
  const joinNamespaces: Namespaces['joinNamespaces'] = {}
  linux.namespaces?.forEach(({ type, path }, index) => {
    const pointer = `/linux/namespaces/${index}`
    const known = NAMESPACES.find((name) => name === type)
    if (known === undefined) throw unsupported(`${pointer}/type`, `is ${JSON.stringify(type)}`)
    // The root is changed in it: that must not be a namespace in which others are.
    if (path && known === 'mount') throw unsupported(`${pointer}/path`, 'asks to join the mounts')
    if (path) joinNamespaces[known] = path
    else namespaces.push(known)
  })
  // Without these two the root could not be changed, or the container could not be ended as a whole.
  for (const needed of ['mount', 'pid'] as const) {
    if (!namespaces.includes(needed) && joinNamespaces[needed] === undefined) {
      throw unsupported('/linux/namespaces', `has no ${needed} namespace`)
    }
  }
  return { namespaces, joinNamespaces }
}

function planIdMapping(
  linux: LinuxConfig,
  namespaces: readonly NamespaceType[],
  plan: IdMappingPlan | undefined,
): IdMappingPlan | undefined {
  if (!namespaces.includes('user')) return undefined
  const matches =
    plan !== undefined &&
    sameRanges(linux.uidMappings, plan.uidMappings) &&
    sameRanges(linux.gidMappings, plan.gidMappings)
  if (!matches) {
    throw new RuntimeError(
      'ERR_RUNTIME_CONFIG',
      'config.json: /linux/uidMappings or gidMappings differ from the id mapping chosen for this host',
      { pointer: '/linux/uidMappings' },
    )
  }
  return plan
}

function sameRanges(
  ranges: readonly IdMappingConfig[] | undefined,
  others: readonly IdMappingConfig[],
): boolean {
  return (
    ranges?.length === others.length &&
    ranges.every(({ containerID, hostID, size }, index) => {
      const other = others[index]
      return other?.containerID === containerID && other.hostID === hostID && other.size === size
    })
  )
}

function refuseSharedPropagation(propagation: string | undefined): void {
  const allowed = [undefined, '', 'private', 'rprivate', 'slave', 'rslave']
  if (!allowed.includes(propagation)) {
    throw unsupported('/linux/rootfsPropagation', `is ${propagation}: mounts stay private`)
  }
}

function planRoot(config: RuntimeConfig, context: LaunchContext): RootSpec {
  const { path, readonly } = config.root
  return {
    path: isAbsolute(path) ? path : join(context.bundle, path),
    ...(context.overlay === undefined ? {} : { overlay: context.overlay }),
    ...(readonly === true ? { readonly } : {}),
  }
}

function planProcess(
  program: ProcessConfig,
  { seccomp, rootEmulation }: LaunchContext,
): ProcessSpec {
  const { user, consoleSize } = program
  const ambient = program.capabilities?.ambient ?? []
  const size =
    consoleSize === undefined
      ? DEFAULT_TERMINAL
      : { columns: consoleSize.width, rows: consoleSize.height }
  return {
    args: program.args,
    env: program.env ?? [],
    cwd: program.cwd,
    uid: user.uid,
    gid: user.gid,
    additionalGids: user.additionalGids ?? [],
    umask: user.umask ?? DEFAULT_UMASK,
    ...(program.terminal === true ? { terminal: size } : {}),
    capabilities: planCapabilities(program.capabilities ?? {}, user.uid),
    ...(ambient.length === 0 ? {} : { ambientCapabilities: ambient }),
    noNewPrivileges: program.noNewPrivileges ?? false,
    ...planAttributes(program),
    ...(seccomp === undefined ? {} : { seccomp }),
    ...(rootEmulation === true ? { rootEmulation } : {}),
  }
}

/**
 * The helper knows two cases, and refuses the rest rather than approximate it: id 0 has the bounding
 * set as its effective and permitted sets, any other id has the ambient one. What is inheritable is
 * what is ambient: more would be left to programs with file capabilities (CVE-2022-29162).
 */
function planCapabilities(sets: CapabilitiesConfig, uid: number): string[] {
  const pointer = '/process/capabilities'
  const { bounding = [], effective = [], permitted = [], inheritable = [], ambient = [] } = sets
  if (!sameNames(inheritable, ambient)) {
    throw unsupported(`${pointer}/inheritable`, 'differs from the ambient set')
  }
  if (!ambient.every((name) => bounding.includes(name))) {
    throw unsupported(`${pointer}/ambient`, 'has more than the bounding set')
  }
  const expected = uid === 0 ? bounding : ambient
  if (!sameNames(effective, expected)) throw unsupported(`${pointer}/effective`, differs(uid))
  if (!sameNames(permitted, expected)) throw unsupported(`${pointer}/permitted`, differs(uid))
  return bounding
}

function differs(uid: number): string {
  return uid === 0
    ? 'differs from the bounding set'
    : 'differs from the ambient set, for a user other than 0'
}

function sameNames(names: readonly string[], others: readonly string[]): boolean {
  const set = new Set(names)
  return set.size === new Set(others).size && others.every((name) => set.has(name))
}
