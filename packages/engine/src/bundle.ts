import {
  DEFAULT_CAPABILITIES,
  DEFAULT_READONLY_PATHS,
  defaultMaskedPaths,
  defaultSeccompProfile,
  type IdMappingPlan,
} from '@cromwell/ns-native'
import {
  type LinuxConfig,
  type MountConfig,
  OCI_VERSION,
  type ProcessConfig,
  type ResourcesConfig,
  ROOT_EMULATION_ANNOTATION,
  type RuntimeConfig,
} from '@cromwell/runtime'
import type { EtcFile, Network } from './etc-files.ts'
import type { ContainerUser } from './user.ts'
import type { Volume } from './volume.ts'

/** Everything that was decided about a container; what is left is to write it in OCI's words. */
export interface BundleOptions {
  args: string[]
  env: string[]
  cwd: string
  user: ContainerUser
  terminal: { columns: number; rows: number } | undefined
  hostname: string
  network: Network
  /** Make the root read-only, with tmpfs where programs expect to write. */
  readOnly: boolean
  /** What the root is put together from, mounted first. */
  rootMounts: readonly MountConfig[]
  etcFiles: readonly EtcFile[]
  volumes: readonly Volume[]
  idMapping: IdMappingPlan
  resources?: ResourcesConfig
  /** The host mounts cgroup v2 at /sys/fs/cgroup. */
  cgroup2: boolean
  annotations: Record<string, string>
}

const BARRIER = ['nosuid', 'noexec', 'nodev']
const WRITABLE_WHEN_READ_ONLY = ['/run', '/tmp', '/var/tmp']

/**
 * The container's config.json. Valid for any OCI runtime; only the play of a root with one id
 * is asked for in words of our own (ROOT_EMULATION_ANNOTATION).
 */
export function createBundle(options: BundleOptions): RuntimeConfig {
  return {
    ociVersion: OCI_VERSION,
    root: { path: 'rootfs', ...(options.readOnly ? { readonly: true } : {}) },
    hostname: options.hostname,
    process: processOf(options),
    mounts: [
      ...options.rootMounts,
      ...systemMounts(options),
      ...(options.readOnly ? WRITABLE_WHEN_READ_ONLY.map(scratch) : []),
      ...byDepth([...options.etcFiles.map(etcMount), ...options.volumes.map(volumeMount)]),
    ],
    linux: linuxOf(options),
    annotations: {
      ...options.annotations,
      ...(playsRoot(options) ? { [ROOT_EMULATION_ANNOTATION]: 'true' } : {}),
    },
  }
}

/** Root with a single id could not even install a package; see rootEmulation of ns-native. */
function playsRoot({ user, idMapping }: BundleOptions): boolean {
  return idMapping.kind === 'single' && user.uid === 0
}

function processOf(options: BundleOptions): ProcessConfig {
  const { user, terminal, idMapping } = options
  const bounding = [...DEFAULT_CAPABILITIES]
  const effective = user.uid === 0 ? bounding : []
  return {
    ...(terminal === undefined
      ? {}
      : { terminal: true, consoleSize: { height: terminal.rows, width: terminal.columns } }),
    user: { uid: user.uid, gid: user.gid, umask: 0o022, additionalGids: user.additionalGids },
    args: options.args,
    env: options.env,
    cwd: options.cwd,
    capabilities: { bounding, effective, permitted: effective, inheritable: [], ambient: [] },
    // With a single id no setuid program could gain anything, so the lock costs nothing there;
    // elsewhere it would break sudo and su, which images use.
    noNewPrivileges: idMapping.kind === 'single',
  }
}

function linuxOf({ network, idMapping, resources = {} }: BundleOptions): LinuxConfig {
  const types = ['user', 'mount', 'pid', 'ipc', 'uts', 'cgroup']
  if (network === 'none') types.push('network')
  return {
    namespaces: types.map((type) => ({ type })),
    uidMappings: [...idMapping.uidMappings],
    gidMappings: [...idMapping.gidMappings],
    maskedPaths: defaultMaskedPaths(),
    readonlyPaths: [...DEFAULT_READONLY_PATHS],
    seccomp: defaultSeccompProfile(),
    ...(Object.keys(resources).length === 0 ? {} : { resources }),
  }
}

function systemMounts({ network, cgroup2 }: BundleOptions): MountConfig[] {
  return [
    mount('/proc', 'proc', BARRIER),
    mount('/dev', 'tmpfs', ['nosuid', 'strictatime', 'mode=755', 'size=65536k']),
    mount('/dev/pts', 'devpts', ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620']),
    mount('/dev/shm', 'tmpfs', [...BARRIER, 'mode=1777', 'size=65536k']),
    mount('/dev/mqueue', 'mqueue', BARRIER),
    // The kernel gives a sysfs of one's own only together with a network of one's own. The host's
    // brings the host's cgroup tree along, which must not be reached (CVE-2023-25809).
    network === 'none'
      ? mount('/sys', 'sysfs', [...BARRIER, 'ro'])
      : { ...mount('/sys', 'bind', ['rbind', 'rprivate', ...BARRIER, 'ro']), source: '/sys' },
    cgroup2
      ? mount('/sys/fs/cgroup', 'cgroup', [...BARRIER, 'relatime', 'ro'])
      : mount('/sys/fs/cgroup', 'tmpfs', [...BARRIER, 'mode=755', 'size=4k', 'ro']),
  ]
}

function mount(destination: string, type: string, options: readonly string[]): MountConfig {
  return { destination, type, source: type, options: [...options] }
}

function scratch(destination: string): MountConfig {
  const mode = destination === '/run' ? '755' : '1777'
  return mount(destination, 'tmpfs', ['nosuid', 'nodev', `mode=${mode}`])
}

function etcMount({ source, destination }: EtcFile): MountConfig {
  return bind(source, destination, [...BARRIER, 'rw'])
}

function volumeMount({ source, destination, readonly }: Volume): MountConfig {
  return bind(source, destination, [readonly ? 'ro' : 'rw'])
}

function bind(source: string, destination: string, options: readonly string[]): MountConfig {
  return { destination, type: 'bind', source, options: ['rbind', 'rprivate', ...options] }
}

/** What is mounted deeper comes later, or it would be covered; of two at one place the last stays. */
function byDepth(mounts: MountConfig[]): MountConfig[] {
  const last = new Map(mounts.map((entry) => [entry.destination, entry]))
  const depth = ({ destination }: MountConfig) => destination.split('/').length
  return [...last.values()].sort((a, b) => depth(a) - depth(b))
}
