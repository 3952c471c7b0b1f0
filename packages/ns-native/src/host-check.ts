import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type AppArmor, appArmor, FIXED_HELPER } from './app-armor.ts'
import { appArmorRemedy } from './app-armor-remedy.ts'
import { cgroupFacility } from './cgroup-facility.ts'
import { NamespaceError } from './errors.ts'
import type { Facility } from './facility.ts'
import type { SelectedIdMapping } from './id-mapping.ts'
import { launch } from './launch.ts'
import type { IdMappingPlan, LaunchSpec } from './launch-spec.ts'
import { defaultSeccomp } from './seccomp/default-filter.ts'

/** What to check with. */
export interface HostCheckOptions {
  /** As `selectIdMapping` chose it. */
  idMapping: SelectedIdMapping
  /** An existing directory where containers are to live: overlay is tried in it. */
  directory: string
  /** What AppArmor does here; for tests. */
  appArmor?: AppArmor
}

/**
 * What works on this host, found out by doing it: each facility is tried by the real helper in a
 * child that is thrown away, so a user namespace that can be made but not used (AppArmor takes its
 * capabilities away) counts as failed. Nothing is left behind.
 *
 * @throws NamespaceError ERR_NS_HELPER when there is no helper to try with
 */
export async function checkHost(options: HostCheckOptions): Promise<Facility[]> {
  const { idMapping, directory } = options
  const callerOnly = onlyTheCaller(idMapping)
  const attempts = await Promise.all([
    attempt('user-namespaces', {
      namespaces: ['user', 'mount'],
      idMapping: callerOnly,
      mounts: [{ type: 'tmpfs', destination: directory }],
    }),
    checkIdMapping(idMapping),
    attempt('proc', {
      namespaces: ['user', 'mount', 'pid'],
      idMapping: callerOnly,
      mounts: [{ type: 'proc', destination: directory }],
    }),
    checkOverlay(directory, callerOnly),
    attempt('network-namespace', {
      namespaces: ['user', 'network'],
      idMapping: callerOnly,
    }),
    attempt('time-namespace', {
      namespaces: ['user', 'time'],
      idMapping: callerOnly,
    }),
    attempt('seccomp', {
      namespaces: ['user'],
      idMapping: callerOnly,
      process: { ...NOTHING, seccomp: defaultSeccomp() },
    }),
  ])
  const canUse = attempts.some(({ name, ok }) => name === 'user-namespaces' && ok)
  return [...attempts, appArmorFacility(canUse, options.appArmor), cgroupFacility()]
}

// The last step, becoming a program that does not exist, fails: all that comes before it worked.
const NOTHING: LaunchSpec['process'] = {
  args: ['/nonexistent'],
  env: [],
  cwd: '/',
  uid: 0,
  gid: 0,
  additionalGids: [],
  umask: 0o022,
  capabilities: [],
  noNewPrivileges: true,
}

async function attempt(
  name: Facility['name'],
  part: Pick<LaunchSpec, 'namespaces'> & Partial<LaunchSpec>,
): Promise<Facility> {
  const spec = { mounts: [], maskedPaths: [], readonlyPaths: [], process: NOTHING, ...part }
  try {
    const child = await launch(spec, { stdio: ['ignore', 'ignore', 'ignore'] })
    await child.wait()
    return { name, ok: true }
  } catch (error) {
    if (!(error instanceof NamespaceError) || error.code === 'ERR_NS_HELPER') throw error
    if (error.code === 'ERR_NS_EXEC') return { name, ok: true }
    return {
      name,
      ok: false,
      why: error.message,
      ...(error.errno === undefined ? {} : { errno: error.errno }),
      ...(error.hint === undefined ? {} : { fix: error.hint }),
    }
  }
}

async function checkIdMapping(idMapping: SelectedIdMapping): Promise<Facility> {
  const { kind, note } = idMapping
  if (kind === 'single') {
    return {
      name: 'id-mapping',
      ok: false,
      detail: kind,
      ...(note === undefined ? {} : { why: note }),
    }
  }
  return { ...(await attempt('id-mapping', { namespaces: ['user'], idMapping })), detail: kind }
}

async function checkOverlay(directory: string, idMapping: IdMappingPlan): Promise<Facility> {
  const scratch = mkdtempSync(join(directory, '.check-'))
  const [path, lower, upperDir, workDir] = ['root', 'lower', 'upper', 'work'].map((name) =>
    join(scratch, name),
  ) as [string, string, string, string] // four names in, four paths out
  try {
    for (const made of [path, lower, upperDir, workDir]) mkdirSync(made)
    return await attempt('overlay', {
      namespaces: ['user', 'mount'],
      idMapping,
      root: { path, overlay: { lowerDirs: [lower], upperDir, workDir } },
    })
  } finally {
    // the kernel makes this one, for nobody to look into
    const inner = join(workDir, 'work')
    if (existsSync(inner)) chmodSync(inner, 0o700)
    rmSync(scratch, { recursive: true, force: true })
  }
}

/** What AppArmor has to do with what came of the attempt. */
export function appArmorFacility(userNamespacesWork: boolean, found = appArmor()): Facility {
  const name = 'apparmor'
  const { restricts, confinedBy } = found
  if (confinedBy === undefined && !restricts) {
    return { name, ok: true, detail: 'does not restrict user namespaces' }
  }
  if (userNamespacesWork) {
    const detail =
      confinedBy !== undefined
        ? `this process is confined by ${confinedBy}, and user namespaces work`
        : process.geteuid?.() === 0
          ? 'restricts user namespaces, but not those of root'
          : `restricts user namespaces, and a profile allows those of ${FIXED_HELPER}`
    return { name, ok: true, detail }
  }
  const fix = appArmorRemedy(found)
  return {
    name,
    ok: false,
    why:
      confinedBy !== undefined
        ? `this process is confined by the profile ${confinedBy}`
        : 'it lets only programs that have a profile for it use a user namespace',
    ...(fix === undefined ? {} : { fix }),
  }
}

/** Id 0 inside is the caller in every kind of mapping. */
function onlyTheCaller({ uidMappings, gidMappings }: IdMappingPlan): IdMappingPlan {
  const [uid, gid] = [uidMappings, gidMappings].map((mappings) => mappings[0]?.hostID ?? 0)
  return {
    kind: 'single',
    uidMappings: [{ containerID: 0, hostID: uid ?? 0, size: 1 }],
    gidMappings: [{ containerID: 0, hostID: gid ?? 0, size: 1 }],
    key: 'single',
  }
}
