import { tryBinding } from '../binding.ts'
import { DEFAULT_READONLY_PATHS } from '../defaults.ts'
import type { Mount } from '../launch-spec.ts'
import type { LimitName, Limits } from '../limits.ts'
import { defaultMaskedPaths } from '../masked-paths.ts'
import { PROXY_PORT, proxyEnvironment } from '../network/proxy-environment.ts'
import { uplinkNameserver } from '../network/uplink.ts'
import type { SpawnOptions } from '../spawn/spawn-options.ts'
import { KERNEL_MOUNTS, nodeMounts, systemMounts, systemPath } from '../spawn/system-root.ts'
import type { Surroundings } from '../surroundings.ts'
import { planMounts, type StateDirectory } from './mount-plan.ts'
import { absolutePath, isWithin, realPath } from './paths.ts'
import { findPlaces, type Place } from './places.ts'
import type { Degradable, LimitPolicy, NetPolicy, Policy } from './policy.ts'
import { parseDuration, parseSize } from './quantities.ts'

/** Mount points, links and small files. */
const ROOT_BYTES = 4 * 1024 * 1024

/** The options of `spawn` that carry out a policy. Looks at files; throws PolicyError. */
export function planPolicy(
  policy: Policy,
  around: Surroundings,
  state: StateDirectory,
): SpawnOptions {
  const { system = true, files = {}, net = { mode: 'none' } } = policy
  const places = findPlaces(files, around)
  const { mounts, maskedPaths, readonlyPaths } = planMounts(places, state)
  const network = net.mode === 'host' ? 'host' : 'own'
  const node = system ? nodeMounts(around.execPath) : []
  const isCovered = places.some(
    ({ access, path }) => access === 'scratch' && isWithin(around.execPath, path),
  )
  return {
    ...commonOptions(policy),
    namespaces: networkNamespace(net),
    idMapping: policy.idMapping ?? 'single',
    root: { tmpfs: { sizeBytes: ROOT_BYTES }, readonly: true },
    mounts: [
      ...(system ? systemMounts(network) : []),
      ...(isCovered ? [] : node),
      ...resolver(net),
      ...KERNEL_MOUNTS,
      ...mounts,
      ...(isCovered ? node : []),
    ],
    maskedPaths: [...defaultMaskedPaths(), ...maskedPaths],
    readonlyPaths: [...DEFAULT_READONLY_PATHS, ...readonlyPaths],
    // without the addon no port can be published, and all else works
    ...(tryBinding() === undefined && isClosed(net) ? {} : servedNetwork(net)),
    cwd: workingDirectory(policy, places, around),
    env: environment(policy, around),
    ...(policy.hostname === undefined ? {} : { hostname: policy.hostname }),
  }
}

/** What does not depend on where and in which namespaces the program runs. */
export function commonOptions(policy: Policy): SpawnOptions {
  const { allowDegraded = [], onSyscall, rootEmulation } = policy
  return {
    capabilities: policy.capabilities ?? [],
    noNewPrivileges: policy.noNewPrivileges ?? true,
    seccomp: policy.seccomp ?? 'default',
    nestedNamespaces: policy.nestedNamespaces ?? false,
    limits: planLimits(policy.limits),
    allowDegraded: allowDegraded.flatMap((name) => LIMIT_NAMES.get(name) ?? []),
    ...(onSyscall === undefined ? {} : { onSyscall }),
    ...(rootEmulation === undefined ? {} : { rootEmulation }),
  }
}

const LIMIT_NAMES: ReadonlyMap<Degradable, LimitName> = new Map([
  ['limits.memory', 'memory'],
  ['limits.cpus', 'cpus'],
  ['limits.pids', 'pids'],
  ['limits.wall', 'wall'],
  ['limits.cpu', 'cpu'],
  ['limits.output', 'output'],
])

function planLimits({ memory, cpus, pids, wall, cpu, output }: LimitPolicy = {}): Limits {
  return {
    ...(memory === undefined ? {} : { memoryBytes: parseSize(memory, '/limits/memory') }),
    ...(cpus === undefined ? {} : { cpus }),
    ...(pids === undefined ? {} : { pids }),
    ...(wall === undefined ? {} : { wallMs: parseDuration(wall, '/limits/wall') }),
    ...(cpu === undefined ? {} : { cpuMs: parseDuration(cpu, '/limits/cpu') }),
    ...(output === undefined ? {} : { outputBytes: parseSize(output, '/limits/output') }),
  }
}

/** Who answers for names, where that is the program that carries the packets. */
function resolver(net: NetPolicy): Mount[] {
  if (net.mode !== 'pasta' && net.mode !== 'slirp4netns') return []
  const content = `nameserver ${uplinkNameserver(net.mode)}\n`
  return [{ type: 'file', destination: '/etc/resolv.conf', content }]
}

function networkNamespace(net: NetPolicy): NonNullable<SpawnOptions['namespaces']> {
  if (net.mode === 'host') return { network: 'host' }
  return net.mode === 'join' ? { network: { join: net.path } } : {}
}

/** Whether it needs nothing of this process. */
function isClosed({ mode }: NetPolicy): boolean {
  return mode === 'none' || mode === 'join'
}

function servedNetwork(net: NetPolicy): SpawnOptions {
  switch (net.mode) {
    case 'host':
      return {}
    case 'proxied':
      return { network: { listen: [{ port: PROXY_PORT }] } }
    case 'pasta':
    case 'slirp4netns':
      return { network: { uplink: { program: net.mode } } }
    default:
      return { network: {} }
  }
}

export function workingDirectory(
  { cwd }: Policy,
  places: readonly Place[],
  around: Surroundings,
): string {
  if (cwd !== undefined) {
    const path = absolutePath(cwd, '/cwd', around)
    return realPath(path, '/cwd') ?? path
  }
  const here = realPath(around.cwd, '/cwd') ?? around.cwd
  const place = places.findLast(({ path }) => isWithin(here, path))
  if (place !== undefined && place.access !== 'hide' && place.access !== 'scratch') return here
  return places.some(({ path }) => path === '/tmp') ? '/tmp' : '/'
}

export function environment(
  { env: { pass = [], set = {} } = {}, net }: Policy,
  { env, execPath }: Surroundings,
): Record<string, string | undefined> {
  const passed = pass.map((name) => [name, env[name]])
  return {
    PATH: systemPath(execPath),
    HOME: '/tmp',
    ...(net?.mode === 'proxied' ? proxyEnvironment() : {}),
    ...Object.fromEntries(passed),
    ...set,
  }
}
