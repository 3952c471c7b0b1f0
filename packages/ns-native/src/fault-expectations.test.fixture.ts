import type { Role } from './fault-injection.test.fixture.ts'
import type { Step } from './steps.ts'

// What fault-injection.kernel.test.ts holds a launch against. Whoever adds a system call to the helper
// adds nothing here, unless the launch is to survive its failure.

/** Calls that cannot fail as they are made, getpid(2), umask(2), sigaction(2), _exit(2). */
export const NEVER_FAIL = new Set([
  'getpid',
  'geteuid',
  'umask',
  'rt_sigaction',
  'rt_sigprocmask',
  'exit_group',
])

/** Where a failing call may be reported. One that is not here may be reported at any step, in its order. */
export const STEPS_OF: Readonly<Record<string, readonly Step[]>> = {
  capget: ['caps.set', 'monitor.confine'],
  capset: ['caps.set', 'monitor.confine'],
  clone: ['clone', 'fork'],
  execve: ['exec'],
  fchdir: ['root.pivot', 'cwd'],
  keyctl: ['keyring'],
  mount: ['mnt.propagation', 'root.overlay', 'mnt'],
  pidfd_open: ['clone', 'fork'],
  pivot_root: ['root.pivot'],
  seccomp: ['seccomp', 'monitor.confine'],
  setgroups: ['setid', 'setgroups'],
  sethostname: ['hostname'],
  setresgid: ['setid', 'setid.final'],
  setresuid: ['setid', 'setid.final'],
  setsid: ['session'],
  socket: ['net.lo', 'net.listen'],
  umount2: ['root.pivot', 'root.detach'],
  write: ['idmap.setgroups', 'idmap.uid', 'idmap.gid', 'time', 'userns.limit', 'oomscore', 'mnt'],
}

/** Steps that no scenario takes, and who has them fail. */
export const ELSEWHERE: Partial<Record<Step, string>> = {
  attach: 'attach.kernel.test.ts',
  join: 'join.kernel.test.ts',
  'ns.join': 'joined-namespaces.kernel.test.ts',
  limits: 'cgroup/',
  cgroup: 'cgroup/',
  'cgroup.namespace': 'cgroup/',
  'net.uplink': 'network/',
  'lsm.label': 'resources.kernel.test.ts',
  notify: 'seccomp/notify.kernel.test.ts',
  setgroups: 'with one id there is nothing that could fail',
  signals: 'cannot fail',
}

/** A failing call that a launch survives, or cannot say much about, and why that is right. */
export interface Tolerated {
  role: Role | '*'
  /** Names, with spaces between them. */
  call: string
  /** Which ones of a process; all when left out. */
  occurrences?: readonly number[]
  why: string
  /** What was to be removed stays. */
  leaves?: boolean
  /** There is an error, but not with this errno: who could tell is out of reach. */
  vague?: boolean
}

export const TOLERATED: readonly Tolerated[] = [
  { role: '*', call: 'close munmap', why: 'Linux closes all the same, close(2)' },
  {
    role: 'monitor',
    call: 'getsockopt close_range',
    occurrences: [1],
    why: 'without a control socket, or with descriptors that it should not have, it does not begin',
    leaves: true,
    vague: true,
  },
  {
    role: 'monitor',
    call: 'getsockopt',
    why: 'whether there is a channel: without one, what needs it is an error',
    vague: true,
  },
  {
    role: 'monitor',
    call: 'signalfd4 read mmap',
    occurrences: [1, 2],
    why: 'before the configuration is read nobody knows what there is to remove',
    leaves: true,
  },
  {
    role: 'monitor',
    call: 'read',
    why: 'signals and output: the next poll comes back to what is still there',
  },
  {
    role: 'monitor',
    call: 'fcntl',
    occurrences: [1, 2, 3, 4, 5],
    why: 'a descriptor that is taken for closed gets /dev/null beside it; all are closed before exec',
  },
  {
    role: 'monitor',
    call: 'prctl',
    why: 'the name in ps, and being dumpable, which it always was',
  },
  {
    role: 'monitor',
    call: 'setsid chdir',
    why: 'it stays in a session or directory of the caller',
  },
  { role: 'monitor', call: 'pidfd_open', why: 'the control socket tells of the end of Node, too' },
  {
    role: 'monitor',
    call: 'ioctl statx',
    why: 'whether 0-2 are terminals: one that answers with EIO has been hung up, tty_ioctl(4)',
  },
  {
    role: 'monitor',
    call: 'openat dup3',
    why: 'it holds the caller’s stdio until it ends; or there is no exit file, but a status',
  },
  {
    role: '*',
    call: 'personality sched_getscheduler getpriority ioprio_get',
    why: 'what the caller was given is taken for the default, which it is nearly always',
  },
  {
    role: 'monitor',
    call: 'openat2',
    why: 'the oom_score_adj of the caller, likewise',
  },
  { role: 'monitor', call: 'ppoll wait4', why: 'it looks again' },
  { role: 'monitor', call: 'clone', why: 'the removal is done without a child' },
  {
    role: 'monitor',
    call: 'clock_gettime write writev fsync renameat2',
    why: 'no exit file, or a gap in the log; the status is told all the same',
  },
  {
    role: 'monitor',
    call: 'recvmsg sendmsg',
    why: 'without a line to init or to Node the container ends; what it would have said is lost',
    vague: true,
  },
  {
    role: 'init',
    call: 'sendto',
    why: 'without a line to the monitor the container ends, or its status is that of PID 1',
    vague: true,
  },
  {
    role: 'init',
    call: 'fsopen fsconfig fsmount mount_setattr open_tree',
    occurrences: [1, 2],
    why: 'a probe of what the kernel can do, or a procfs of its own for which the host’s, checked, can stand in',
  },
  { role: 'init', call: 'wait4 read ppoll', why: 'it looks again' },
  {
    role: 'init',
    call: 'openat2',
    occurrences: [1],
    why: 'the oom_score_adj of the caller, where init looks itself',
  },
  {
    role: 'monitor',
    call: 'pidfd_send_signal',
    why: 'to PID 1, which has said that it ends; the monitor waits for that all the same',
  },
  { role: 'init', call: 'getrusage', why: 'the figures lack a part' },
  { role: 'init', call: 'kill', why: 'nobody else is there, or the kernel ends them with PID 1' },
  {
    role: 'payload',
    call: 'landlock_create_ruleset',
    occurrences: [1],
    why: 'asking for the version: without one Landlock is not supported, and that is the error',
    vague: true,
  },
  { role: 'payload', call: 'ppoll', why: 'it looks again whether the old root is gone' },
  { role: 'payload', call: 'fcntl', why: 'stdio stays non-blocking' },
  { role: 'helper', call: 'setns', why: 'the removal goes as far as the caller’s own rights' },
  {
    role: 'helper',
    call: 'openat unlinkat openat2 getdents64 fstat newfstatat',
    why: 'the removal itself',
    leaves: true,
  },
]
