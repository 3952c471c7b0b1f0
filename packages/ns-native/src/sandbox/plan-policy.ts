import { DEFAULT_READONLY_PATHS } from '../defaults.ts'
import { defaultMaskedPaths } from '../masked-paths.ts'
import type { SpawnOptions } from '../spawn/spawn-options.ts'
import { KERNEL_MOUNTS, systemMounts, systemPath } from '../spawn/system-root.ts'
import type { Surroundings } from '../surroundings.ts'
import { planMounts, type StateDirectory } from './mount-plan.ts'
import { absolutePath, isWithin, realPath } from './paths.ts'
import { findPlaces, type Place } from './places.ts'
import type { EnvPolicy, Policy } from './policy.ts'

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
  return {
    namespaces: network === 'host' ? { network: 'host' } : {},
    idMapping: policy.idMapping ?? 'single',
    root: { tmpfs: { sizeBytes: ROOT_BYTES }, readonly: true },
    mounts: [
      ...(system ? systemMounts(around.execPath, network) : []),
      ...KERNEL_MOUNTS,
      ...mounts,
    ],
    maskedPaths: [...defaultMaskedPaths(), ...maskedPaths],
    readonlyPaths: [...DEFAULT_READONLY_PATHS, ...readonlyPaths],
    ...(network === 'own' ? { network: {} } : {}),
    cwd: workingDirectory(policy, places, around),
    env: environment(policy.env, around),
    capabilities: policy.capabilities ?? [],
    noNewPrivileges: policy.noNewPrivileges ?? true,
    seccomp: policy.seccomp ?? 'default',
    nestedNamespaces: policy.nestedNamespaces ?? false,
    ...(policy.hostname === undefined ? {} : { hostname: policy.hostname }),
  }
}

function workingDirectory({ cwd }: Policy, places: readonly Place[], around: Surroundings): string {
  if (cwd !== undefined) {
    const path = absolutePath(cwd, '/cwd', around)
    return realPath(path, '/cwd') ?? path
  }
  const here = realPath(around.cwd, '/cwd') ?? around.cwd
  const place = places.findLast(({ path }) => isWithin(here, path))
  if (place !== undefined && place.access !== 'hide' && place.access !== 'scratch') return here
  return places.some(({ path }) => path === '/tmp') ? '/tmp' : '/'
}

function environment(
  { pass = [], set = {} }: EnvPolicy = {},
  { env, execPath }: Surroundings,
): Record<string, string | undefined> {
  const passed = pass.map((name) => [name, env[name]])
  return { PATH: systemPath(execPath), HOME: '/tmp', ...Object.fromEntries(passed), ...set }
}
