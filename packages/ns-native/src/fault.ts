import { constants } from 'node:os'
import { describeErrno } from './errno.ts'
import {
  ExecError,
  NamespaceError,
  type NamespaceErrorFacts,
  SetupError,
  UnsupportedError,
} from './errors.ts'
import {
  LANDLOCK_FS_RIGHTS,
  LANDLOCK_NET_RIGHTS,
  LANDLOCK_SCOPES,
  landlockNames,
} from './landlock-rights.ts'
import type { LaunchSpec, Mount } from './launch-spec.ts'
import { addressText } from './network/endpoint.ts'
import type { MonitorEvent } from './records.ts'
import { remedyFor } from './remedies.ts'
import { STEPS, type Step } from './steps.ts'

type Fault = Extract<MonitorEvent, { type: 'fault' }>

/** The typed error for what the helper reported while it carried out `spec`. */
export function faultError(fault: Fault, spec: LaunchSpec): NamespaceError {
  const step = STEPS[fault.step]
  if (step === undefined) {
    const message = `the monitor reports an unknown step ${fault.step}`
    return new NamespaceError('ERR_NS_HELPER', message)
  }
  if (step === 'join' && fault.errno === constants.errno.ESRCH) {
    return new NamespaceError('ERR_NS_ENDED', 'cannot join the container: it has ended', { step })
  }
  return step === 'exec' ? execError(fault, spec) : setupError(step, fault, spec)
}

/** The index of an exec or seccomp fault: a signal ended the process before it was the program. */
const DIED = 2

function execError(fault: Fault, spec: LaunchSpec): NamespaceError {
  const { text } = describeErrno(fault.errno)
  const program = spec.process.args[0] ?? ''
  const died = fault.index === DIED
  const path = fault.detail === '' || died ? program : fault.detail
  const interpreterMissing = fault.index === 1
  const why = died
    ? `it was killed before it started (${fault.detail})`
    : interpreterMissing
      ? 'its interpreter or loader is missing'
      : text
  const ruled = fault.errno === constants.errno.EACCES && spec.process.landlock?.fs !== undefined
  const hint = ruled
    ? 'the Landlock rules must let it, its interpreter and its loader be read and executed'
    : remedyFor({ step: 'exec', errno: fault.errno, detail: '', interpreterMissing })
  return new ExecError(`cannot execute ${path}: ${why}`, {
    step: 'exec',
    errno: fault.errno,
    syscall: fault.call,
    path,
    ...(hint === undefined ? {} : { hint }),
  })
}

function setupError(step: Step, fault: Fault, spec: LaunchSpec): NamespaceError {
  const unsupported = unsupportedError(step, fault, spec)
  if (unsupported !== undefined) return unsupported
  const mount = step === 'mnt' ? spec.mounts[fault.index ?? -1] : undefined
  const path = pathOf(step, fault, spec)
  const facts: NamespaceErrorFacts = {
    step,
    errno: fault.errno,
    syscall: fault.call,
    ...(fault.index === undefined || step === 'seccomp' ? {} : { index: fault.index }),
    ...(path === undefined ? {} : { path }),
  }
  const hint = remedyFor({
    step,
    errno: fault.errno,
    call: fault.call,
    detail: fault.detail,
    ...(mount === undefined ? {} : { mountType: mount.type }),
  })
  if (hint !== undefined) facts.hint = hint
  const detail = fault.detail === '' ? '' : ` (${fault.detail})`
  const limit = step === 'rlimit' ? ` ${spec.process.rlimits?.[fault.index ?? 0]?.type}` : ''
  const what = `${describe(step, mount)}${limit}${path === undefined ? '' : ` ${path}`}`
  const why =
    step === 'init' && fault.errno === constants.errno.ECHILD
      ? 'it was killed before the program started'
      : step === 'seccomp' && fault.index === DIED
        ? 'it kills the process before that is the program'
        : `${fault.call}: ${describeErrno(fault.errno).text}`
  return new SetupError(`cannot ${what}: ${why}${detail}`, facts)
}

const { EINVAL, EOPNOTSUPP } = constants.errno

/** Not a failure of this launch: the kernel has no such facility, or not enough of it. */
function unsupportedError(step: Step, fault: Fault, spec: LaunchSpec): NamespaceError | undefined {
  const facts = { step, errno: fault.errno, syscall: fault.call }
  if (step === 'landlock' && fault.errno === EOPNOTSUPP) return landlockError(fault.detail, facts)
  if (step !== 'lsm.label' || fault.call !== 'write' || fault.errno !== EINVAL) return undefined
  const { apparmorProfile, selinuxLabel } = spec.process
  const [module, label] =
    fault.index === 0 ? ['AppArmor', apparmorProfile] : ['SELinux', selinuxLabel]
  return new UnsupportedError(`cannot run under ${module} as ${label}: it is not active here`, {
    ...facts,
    missing: [module.toLowerCase()],
    hint: 'leave it out on this host, or where it is active look whether the label is valid',
  })
}

// The helper says: the ABI, and the bits of fs, net and scope rights that it lacks.
function landlockError(detail: string, facts: NamespaceErrorFacts): NamespaceError {
  const [abi = 0n, fs = 0n, net = 0n, scope = 0n] = detail.split(' ').map(BigInt)
  const missing = [
    ...landlockNames(LANDLOCK_FS_RIGHTS, fs),
    ...landlockNames(LANDLOCK_NET_RIGHTS, net),
    ...landlockNames(LANDLOCK_SCOPES, scope),
  ]
  const kernel = abi === 0n ? 'has no Landlock' : `has Landlock of ABI ${abi}, which cannot do that`
  return new UnsupportedError(`cannot restrict ${missing.join(', ')}: this kernel ${kernel}`, {
    ...facts,
    missing: missing.map((name) => `landlock.${name}`),
    hint: 'use a newer kernel with landlock among its security modules (lsm= at boot), or name these in landlock.degraded to go without',
  })
}

function pathOf(step: Step, { index }: Fault, spec: LaunchSpec): string | undefined {
  const { root, mounts } = spec
  const at = index ?? -1
  switch (step) {
    case 'mnt':
      return mounts[at]?.destination
    case 'mask':
      return spec.maskedPaths[at]
    case 'ro':
      return spec.readonlyPaths[at]
    case 'cwd':
    case 'cwd.create':
      return spec.process.cwd
    case 'attach':
      return spec.monitor?.attachPath
    case 'ns.join':
      return Object.values(spec.joinNamespaces ?? {})[at]
    case 'landlock':
      return spec.process.landlock?.fs?.[at]?.path
    case 'stdio':
      return index === undefined ? undefined : `descriptor ${index}`
    case 'log':
      return spec.monitor?.logPath
    case 'net.uplink':
      return spec.network?.uplink?.program
    case 'net.listen': {
      const address = spec.network?.listen?.[at]
      return address && addressText(address)
    }
    case 'root.overlay': {
      if (root?.overlay === undefined || index === undefined) return root?.path
      const { lowerDirs, upperDir, workDir } = root.overlay
      return [...lowerDirs, upperDir, workDir][at]
    }
    case 'root.bind':
    case 'root.open':
    case 'root.readonly':
    case 'root.pivot':
    case 'root.detach':
      return root?.path
    default:
      return undefined
  }
}

const DESCRIPTIONS: Partial<Record<Step, string>> = {
  limits: 'hold the limits',
  cgroup: 'make the control group',
  'cgroup.namespace': 'create a cgroup namespace',
  config: 'understand the launch configuration',
  monitor: 'start the monitor',
  log: 'open the log',
  stdio: 'connect standard input and output',
  attach: 'listen for attachments on',
  join: 'join the container',
  'ns.join': 'join the namespace',
  clone: 'create namespaces',
  procfs: 'use /proc of the host',
  'idmap.setgroups': 'deny setgroups in the user namespace',
  'idmap.uid': 'map user ids',
  'idmap.gid': 'map group ids',
  sched: 'set nice value, I/O priority or processors',
  oomscore: 'set oom_score_adj',
  'monitor.confine': 'confine the monitor',
  init: 'run init',
  time: 'create a time namespace',
  setid: 'become root in the user namespace',
  keyring: 'create a session keyring',
  'userns.limit': 'limit the number of user namespaces',
  hostname: 'set the hostname',
  domainname: 'set the domain name',
  'net.lo': 'bring up the loopback interface',
  'net.uplink': 'connect the network by',
  'net.listen': 'listen inside on',
  'mnt.propagation': 'make mounts private',
  'root.overlay': 'mount the overlay',
  'root.bind': 'bind the root',
  'root.tmpfs': 'mount a tmpfs as the root',
  'root.open': 'open the root',
  mnt: 'prepare mounts',
  mask: 'mask',
  ro: 'make read-only',
  pty: 'open a pseudo-terminal',
  'cwd.create': 'create the working directory',
  'root.readonly': 'make read-only the root',
  'root.pivot': 'change the root to',
  'root.detach': 'let go of the old root behind',
  fork: 'fork',
  session: 'start a session',
  ctty: 'set the controlling terminal',
  'lsm.label': 'set the security label',
  'caps.bounding': 'limit the capability bounding set',
  setgroups: 'set supplementary groups',
  'setid.final': 'change to the user and group',
  cwd: 'enter the working directory',
  'caps.set': 'set capabilities',
  'caps.ambient': 'set ambient capabilities',
  rlimit: 'set the limit',
  landlock: 'restrict by Landlock',
  seccomp: 'install the seccomp filter',
}

function describe(step: Step, mount: Mount | undefined): string {
  if (mount?.type === 'bind') return `bind ${mount.source} to`
  if (mount !== undefined) return `mount ${mount.type} on`
  return DESCRIPTIONS[step] ?? `take the step ${step}`
}
