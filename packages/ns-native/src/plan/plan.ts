import { checkSpec } from '../check-spec.ts'
import type { LaunchSpec, Mount } from '../launch-spec.ts'
import { STEPS, type Step } from '../steps.ts'

/** One thing that the helper will do. */
export interface PlannedStep {
  /** As an error would name it. */
  step: Step
  /** Which one, where it is done for each element of a list. */
  index?: number
  /** The system calls (or programs) that do it, in order; those that only prepare are left out. */
  calls: readonly string[]
  /** What it is done to, where that is one thing. */
  path?: string
}

type Part = Omit<PlannedStep, 'step'>

/**
 * What a launch of `spec` will do, in order, on a kernel that has all the calls: nothing is done or
 * looked up, so masks of paths that do not exist are in it, too. Throws PolicyError as `launch` does.
 */
export function plan(spec: LaunchSpec): PlannedStep[] {
  checkSpec(spec)
  return STEPS.flatMap((step) => (PARTS[step]?.(spec) ?? []).map((part) => ({ step, ...part })))
}

const created =
  (type: LaunchSpec['namespaces'][number], ...calls: string[]) =>
  ({ namespaces }: LaunchSpec) =>
    when(namespaces.includes(type), ...calls)
const always =
  (...calls: string[]) =>
  () => [{ calls }]

/** Steps that are not here prepare or check, and do nothing to the program. */
const PARTS: Partial<Record<Step, (spec: LaunchSpec) => Part[]>> = {
  'ns.join': ({ joinNamespaces = {} }) =>
    Object.values(joinNamespaces).map((path, index) => ({ index, calls: ['setns'], path })),
  clone: always('clone'),
  'idmap.setgroups': ({ idMapping }) => when(idMapping?.kind === 'single', 'write'),
  'idmap.uid': (spec) => idMap(spec, 'newuidmap'),
  'idmap.gid': (spec) => idMap(spec, 'newgidmap'),
  setid: created('user', 'setresgid', 'setresuid'),
  dumpable: always('prctl'),
  pdeathsig: always('prctl'),
  keyring: ({ process }) => when(process.keyring !== false, 'keyctl'),
  'userns.limit': ({ maxUserNamespaces }) => when(maxUserNamespaces !== undefined, 'write'),
  hostname: ({ hostname }) => when(hostname !== undefined, 'sethostname'),
  domainname: ({ domainname }) => when(domainname !== undefined, 'setdomainname'),
  'net.lo': created('network', 'socket', 'ioctl'),
  'net.listen': ({ network }) =>
    (network?.listen ?? []).map((_, index) => ({ index, calls: ['socket', 'bind', 'listen'] })),
  'mnt.propagation': created('mount', 'mount'),
  'root.overlay': ({ root }) => when(root?.overlay !== undefined, 'mount'),
  'root.bind': ({ root }) =>
    when(root?.path !== undefined && root.overlay === undefined, 'open_tree', 'move_mount'),
  'root.tmpfs': ({ root }) => when(root?.tmpfs !== undefined, 'fsopen', 'fsmount', 'move_mount'),
  mnt: ({ mounts }) =>
    mounts.map((mount, index) => ({ index, calls: MOUNTS[mount.type], path: mount.destination })),
  mask: ({ maskedPaths }) =>
    maskedPaths.map((path, index) => ({ index, calls: ['move_mount'], path })),
  ro: ({ readonlyPaths }) =>
    readonlyPaths.map((path, index) => ({
      index,
      calls: ['open_tree', 'mount_setattr', 'move_mount'],
      path,
    })),
  'root.readonly': ({ root }) => when(root?.readonly === true, 'mount_setattr'),
  'root.pivot': ({ root }) => when(root !== undefined, 'pivot_root'),
  fork: always('clone'),
  'root.detach': ({ root }) => when(root !== undefined, 'umount2'),
  session: always('setsid'),
  ctty: ({ process }) => when(process.terminal !== undefined, 'ioctl'),
  'caps.bounding': always('prctl'),
  'setid.final': always('setresgid', 'setresuid'),
  cwd: ({ process }) => [{ calls: ['openat2', 'fchdir', 'getcwd'], path: process.cwd }],
  'caps.set': always('capset'),
  'caps.ambient': ({ process }) => when((process.ambientCapabilities ?? []).length > 0, 'prctl'),
  nnp: ({ process }) => when(process.noNewPrivileges, 'prctl'),
  rlimit: ({ process }) =>
    (process.rlimits ?? []).map((_, index) => ({ index, calls: ['prlimit64'] })),
  landlock: ({ process }) =>
    when(process.landlock !== undefined, 'landlock_create_ruleset', 'landlock_restrict_self'),
  closefds: always('close_range'),
  seccomp: ({ process }) => when(process.seccomp !== undefined, 'seccomp'),
  exec: ({ process }) => [{ calls: ['execve'], path: process.args[0] ?? '' }],
}

const FRESH = ['fsopen', 'fsmount', 'move_mount']
const MOUNTS: Record<Mount['type'], readonly string[]> = {
  bind: ['open_tree', 'move_mount'],
  tmpfs: FRESH,
  overlay: FRESH,
  proc: FRESH,
  sysfs: FRESH,
  mqueue: FRESH,
  cgroup: FRESH,
  devpts: FRESH,
  dev: FRESH,
  file: ['write', 'move_mount'],
  symlink: ['symlinkat'],
}

function when(condition: boolean, ...calls: string[]): Part[] {
  return condition ? [{ calls }] : []
}

function idMap({ idMapping }: LaunchSpec, program: string): Part[] {
  return when(idMapping !== undefined, idMapping?.kind === 'subid' ? program : 'write')
}
