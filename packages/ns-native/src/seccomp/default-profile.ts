import type { SeccompArch, SeccompArg, SeccompProfile, SeccompRule } from './profile.ts'

/** What may be loosened in the default profile. */
export interface DefaultSeccompOptions {
  /** Let the process make namespaces and mounts of its own, as a container engine inside must. */
  allowNestedNamespaces?: boolean
}

const EPERM = 1
const ENOSYS = 38
const EAFNOSUPPORT = 97

const ARCHITECTURES: Record<SeccompArch, string> = {
  x64: 'SCMP_ARCH_X86_64',
  arm64: 'SCMP_ARCH_AARCH64',
}

const made = new Map<string, SeccompProfile>()

/**
 * The default policy, as any OCI runtime takes it (`linux.seccomp` of config.json): what ordinary
 * programs call is allowed, what is known and unwanted gets EPERM, and everything else ENOSYS, so
 * that a C library that tries a newer call falls back. `defaultSeccomp` gives the program of it.
 *
 * All tests are on the low 32 bits: the kernel itself looks at no more of these arguments, and a
 * test that looks at more can be walked around (CVE-2019-10063).
 *
 * Every call with the same arguments returns the same object, which is not to be written to.
 */
export function defaultSeccompProfile(
  arch: SeccompArch = process.arch === 'arm64' ? 'arm64' : 'x64',
  { allowNestedNamespaces = false }: DefaultSeccompOptions = {},
): SeccompProfile {
  const key = `${arch} ${allowNestedNamespaces}`
  const profile = made.get(key) ?? {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: ENOSYS,
    architectures: [ARCHITECTURES[arch]],
    syscalls: [
      ...(allowNestedNamespaces ? NESTED_NAMESPACES : NO_NAMESPACES),
      ...SOCKETS,
      ...TERMINALS,
      ...PERSONALITIES,
      allow(FILES, DIRECTORIES, ATTRIBUTES, DESCRIPTORS, EVENTS, NETWORK, MEMORY, PROCESSES),
      allow(SCHEDULING, IDENTITY, SIGNALS, TIME, IPC, CONFINEMENT, MACHINE),
      refuse(HOST, KERNEL, KEYRINGS, OTHER_PROCESSES),
    ],
  }
  made.set(key, profile)
  return profile
}

const FILES = `open openat openat2 creat close close_range read write readv writev pread64 pwrite64
  preadv pwritev preadv2 pwritev2 lseek truncate ftruncate fallocate fadvise64 readahead flock
  fsync fdatasync sync syncfs sync_file_range sendfile splice tee vmsplice copy_file_range
  io_setup io_submit io_getevents io_pgetevents io_cancel io_destroy cachestat`

const DIRECTORIES = `chdir fchdir getcwd chroot mkdir mkdirat rmdir link linkat symlink symlinkat
  unlink unlinkat rename renameat renameat2 readlink readlinkat getdents getdents64 mknod mknodat
  name_to_handle_at statmount listmount`

const ATTRIBUTES = `stat lstat fstat newfstatat statx statfs fstatfs access faccessat faccessat2
  chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat umask utime utimes futimesat
  utimensat getxattr lgetxattr fgetxattr setxattr lsetxattr fsetxattr listxattr llistxattr
  flistxattr removexattr lremovexattr fremovexattr getxattrat setxattrat listxattrat removexattrat
  file_getattr file_setattr`

const DESCRIPTORS = `dup dup2 dup3 fcntl pipe pipe2 memfd_create memfd_secret`

const EVENTS = `poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait
  epoll_pwait epoll_pwait2 eventfd eventfd2 signalfd signalfd4 timerfd_create timerfd_settime
  timerfd_gettime inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark`

const NETWORK = `socketpair bind listen accept accept4 connect shutdown getsockname
  getpeername getsockopt setsockopt sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg`

const MEMORY = `brk mmap munmap mremap mprotect madvise mincore msync mlock mlock2 mlockall munlock
  munlockall mseal remap_file_pages map_shadow_stack membarrier pkey_alloc pkey_free pkey_mprotect`

// ptrace and process_vm_* reach what the pid namespace shows and the kernel's own rules permit:
// since Linux 4.8 a tracer can no longer change a call after this filter has passed it
const PROCESSES = `fork vfork execve execveat exit exit_group wait4 waitid getpid getppid gettid
  getpgid getpgrp setpgid getsid setsid pidfd_open pidfd_send_signal process_mrelease ptrace
  process_vm_readv process_vm_writev prctl arch_prctl set_tid_address set_robust_list
  get_robust_list rseq futex futex_waitv futex_wake futex_wait futex_requeue restart_syscall
  uretprobe uprobe`

const SCHEDULING = `sched_yield sched_getaffinity sched_setaffinity sched_getattr sched_setattr
  sched_getparam sched_setparam sched_getscheduler sched_setscheduler sched_get_priority_min
  sched_get_priority_max sched_rr_get_interval getpriority setpriority ioprio_get ioprio_set
  getrlimit setrlimit prlimit64 getrusage getcpu`

const IDENTITY = `getuid geteuid getgid getegid getresuid getresgid getgroups setuid setgid setreuid
  setregid setresuid setresgid setfsuid setfsgid setgroups capget capset`

const SIGNALS = `kill tkill tgkill rt_sigaction rt_sigprocmask rt_sigpending rt_sigqueueinfo
  rt_tgsigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait sigaltstack pause`

// the clocks can be read and slewed by these; the kernel lets only the host's root do the latter
const TIME = `time times gettimeofday nanosleep clock_gettime clock_getres clock_nanosleep adjtimex
  clock_adjtime alarm getitimer setitimer timer_create timer_delete timer_getoverrun timer_gettime
  timer_settime`

const IPC = `shmget shmat shmdt shmctl semget semop semtimedop semctl msgget msgsnd msgrcv msgctl
  mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr`

const CONFINEMENT = `seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self`

const MACHINE = `uname sysinfo getrandom`

/** The host's clock, power, devices, quota, memory placement and log. */
const HOST = `acct settimeofday clock_settime reboot swapon swapoff quotactl quotactl_fd vhangup
  syslog ioperm iopl sethostname setdomainname get_mempolicy set_mempolicy set_mempolicy_home_node
  mbind migrate_pages move_pages fanotify_init`

/**
 * Doors into the kernel that ordinary programs do without. io_uring runs operations that no filter
 * sees; open_by_handle_at reaches files that no path leads to (the "shocker" exploit); modify_ldt
 * is for the 16- and 32-bit programs that cannot run here anyway.
 */
const KERNEL = `init_module finit_module delete_module kexec_load kexec_file_load bpf
  perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register open_by_handle_at
  lookup_dcookie modify_ldt`

/** Keyrings are not kept apart by namespaces. */
const KEYRINGS = `add_key request_key keyctl`

/** Reaching into another process further than ptrace's checks were made for. */
const OTHER_PROCESSES = `kcmp pidfd_getfd process_madvise`

const MOUNTS = `mount umount2 pivot_root fsopen fsconfig fsmount fspick move_mount open_tree
  open_tree_attr mount_setattr`

const CLONE_NEW = {
  TIME: 0x00000080,
  NS: 0x00020000,
  CGROUP: 0x02000000,
  UTS: 0x04000000,
  IPC: 0x08000000,
  USER: 0x10000000,
  PID: 0x20000000,
  NET: 0x40000000,
} as const
const NEW_NAMESPACES = Object.values(CLONE_NEW).reduce((flags, flag) => flags + flag, 0)

/** New user namespaces give every process root's view of the kernel's oldest code (CVE-2022-0185). */
const NO_NAMESPACES: readonly SeccompRule[] = [
  {
    names: ['clone'],
    action: 'SCMP_ACT_ALLOW',
    // clone has the exit signal where CLONE_NEWTIME would be
    args: [without(0, NEW_NAMESPACES - CLONE_NEW.TIME)],
  },
  // undoing CLONE_FILES or CLONE_FS is harmless, and samba does it in every thread
  { names: ['unshare'], action: 'SCMP_ACT_ALLOW', args: [without(0, NEW_NAMESPACES)] },
  { names: ['clone', 'unshare'], action: 'SCMP_ACT_ERRNO', errnoRet: EPERM, args: [otherwise(0)] },
  refuse('setns', MOUNTS),
  // its flags are in memory, where no filter can look; C libraries fall back to clone
  { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
]

const NESTED_NAMESPACES: readonly SeccompRule[] = [
  allow('clone clone3 unshare setns sethostname setdomainname', MOUNTS),
]

/** AF_ALG and AF_VSOCK: the kernel's crypto, and the hypervisor; neither knows of namespaces. */
const SOCKETS: readonly SeccompRule[] = [
  ...[38, 40].map(
    (family): SeccompRule => ({
      names: ['socket'],
      action: 'SCMP_ACT_ERRNO',
      errnoRet: EAFNOSUPPORT,
      args: [is(0, family)],
    }),
  ),
  { names: ['socket'], action: 'SCMP_ACT_ALLOW', args: [otherwise(0)] },
]

/** TIOCSTI and TIOCLINUX: typing into a terminal that is shared with the host (CVE-2017-5226). */
const TERMINALS: readonly SeccompRule[] = [
  ...[0x5412, 0x541c].map(
    (request): SeccompRule => ({
      names: ['ioctl'],
      action: 'SCMP_ACT_ERRNO',
      errnoRet: EPERM,
      args: [is(1, request)],
    }),
  ),
  { names: ['ioctl'], action: 'SCMP_ACT_ALLOW', args: [otherwise(1)] },
]

/** Linux, PER_LINUX32, both with UNAME26, and the question which it is; never a weaker layout. */
const PERSONALITIES: readonly SeccompRule[] = [
  ...[0, 8, 0x20000, 0x20008, 0xffffffff].map(
    (persona): SeccompRule => ({
      names: ['personality'],
      action: 'SCMP_ACT_ALLOW',
      args: [is(0, persona)],
    }),
  ),
  { names: ['personality'], action: 'SCMP_ACT_ERRNO', errnoRet: EPERM, args: [otherwise(0)] },
]

function allow(...lists: readonly string[]): SeccompRule {
  return { names: namesIn(lists), action: 'SCMP_ACT_ALLOW' }
}

function refuse(...lists: readonly string[]): SeccompRule {
  return { names: namesIn(lists), action: 'SCMP_ACT_ERRNO', errnoRet: EPERM }
}

function is(index: number, value: number): SeccompArg {
  return { index, value: 0xffffffff, valueTwo: value, op: 'SCMP_CMP_MASKED_EQ' }
}

/**
 * After rules about some values of an argument, the one for all others. A rule without `args` would
 * beat those: libseccomp asks about this comparison last, and it is always true.
 */
function otherwise(index: number): SeccompArg {
  return { index, value: 0, op: 'SCMP_CMP_GE' }
}

function without(index: number, flags: number): SeccompArg {
  return { index, value: flags, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }
}

function namesIn(lists: readonly string[]): string[] {
  return lists.flatMap((list) => list.split(/\s+/))
}
