import { existsSync, readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { appArmorRemedy } from './app-armor-remedy.ts'
import { TUN_HINT } from './network/uplink.ts'
import { PRIVILEGE_REMEDIES } from './privilege-remedies.ts'
import type { Step } from './steps.ts'

const {
  EACCES,
  EISDIR,
  EADDRNOTAVAIL,
  EINVAL,
  ELOOP,
  ENODEV,
  ENOENT,
  ENOSPC,
  ETIMEDOUT,
  ENOSYS,
  EPERM,
  ERANGE,
  EROFS,
  EDQUOT,
} = constants.errno

/** What is known of a failure when its remedy is looked up. */
export interface Failure {
  step: Step | 'exec'
  errno: number
  /** What the failing program said, or the file in question. */
  detail: string
  /** The system call that failed. */
  call?: string
  /** The type of the mount that failed. */
  mountType?: string
  /** exec: the program is there, what it needs to run is not. */
  interpreterMissing?: boolean
}

/** What to do about a failure, as far as the step, the errno and this host say it. */
export function remedyFor(failure: Failure): string | undefined {
  if (failure.errno === ENOSYS) {
    return 'this kernel is too old, or a sandbox hides the call: Linux 5.11 or later is needed'
  }
  return REMEDIES[failure.step]?.(failure)
}

const REMEDIES: Partial<Record<Step, (failure: Failure) => string | undefined>> = {
  clone: noUserNamespace,
  attach: ({ errno }) =>
    errno === EACCES
      ? 'its directory must belong to the caller, and be writable for nobody else (chmod 700)'
      : undefined,
  stdio: ({ errno }) =>
    errno === EPERM
      ? 'what is typed into a terminal of the caller is obeyed outside: give the program one of its own'
      : errno === EISDIR
        ? 'a directory leads out of the container: bind it instead'
        : undefined,
  join: joinRefused,
  'idmap.setgroups': noUserNamespace,
  'idmap.uid': idMapRefused,
  'idmap.gid': idMapRefused,
  setid: ({ errno }) => (errno === EPERM ? noUserNamespace({ errno }) : unmapped()),
  setgroups: unmapped,
  'setid.final': ({ errno }) => (errno === EINVAL ? unmapped() : undefined),
  'mnt.propagation': noUserNamespace,
  'net.lo': noUserNamespace,
  'net.uplink': ({ errno, detail }) =>
    /tun/.test(detail)
      ? TUN_HINT
      : errno === ETIMEDOUT
        ? 'it did not become ready within ten seconds: try it by hand'
        : 'the program says why; another one may work: pasta, slirp4netns',
  'net.listen': ({ errno }) =>
    errno === EADDRNOTAVAIL
      ? 'the container has no such address: use 127.0.0.1, ::1, 0.0.0.0 or ::'
      : undefined,
  keyring: ({ errno }) =>
    errno === EDQUOT
      ? 'too many kernel keyrings belong to this user: raise the sysctl kernel.keys.maxkeys'
      : undefined,
  ...PRIVILEGE_REMEDIES,
  time: ({ errno }) =>
    errno === ERANGE
      ? 'the clock would be negative, or more than 146 years ahead'
      : errno === ENOSPC
        ? 'a limit on namespaces is reached: see the sysctl user.max_time_namespaces'
        : errno === EINVAL
          ? 'time namespaces need Linux 5.6 or later, with CONFIG_TIME_NS'
          : noUserNamespace({ errno }),
  procfs: ({ errno }) =>
    errno === ENODEV
      ? '/proc must be a proc file system of the pid namespace that this process is in: mount -t proc proc /proc'
      : undefined,
  'root.overlay': overlayRefused,
  mnt: mountRefused,
  'cwd.create': ({ errno }) =>
    errno === EROFS
      ? 'the root is read-only: choose a working directory that exists'
      : errno === ELOOP
        ? 'it leads through /proc/PID/fd or the like, which is never followed'
        : undefined,
  cwd: ({ errno }) =>
    errno === EACCES
      ? 'the user that the process runs as may not enter it'
      : 'choose a working directory that exists inside the container',
  seccomp: ({ errno }) =>
    errno === EINVAL
      ? 'the program is not valid classic BPF for this kernel, or seccomp is not built in'
      : errno === EPERM
        ? 'the filter must allow execve, and without noNewPrivileges what comes between: ' +
          'setgroups, setresgid, setresuid, openat2, fchdir, getcwd, capset, prctl, close_range'
        : undefined,
  log: () => 'the directory of the log file must exist and be writable',
  exec: execRefused,
}

function noUserNamespace({ errno }: { errno: number }): string | undefined {
  if (sysctl('kernel/unprivileged_userns_clone') === '0' && process.geteuid?.() !== 0) {
    return 'unprivileged user namespaces are turned off: as root, sysctl -w kernel.unprivileged_userns_clone=1'
  }
  if (sysctl('user/max_user_namespaces') === '0') {
    return 'user namespaces are turned off: as root, sysctl -w user.max_user_namespaces=15000'
  }
  if (errno === ENOSPC) {
    return 'a limit on namespaces is reached: see the sysctls user.max_*_namespaces'
  }
  if (errno !== EPERM && errno !== EACCES) return undefined
  const byAppArmor = appArmorRemedy()
  if (byAppArmor !== undefined) return byAppArmor
  return insideContainer()
    ? 'this seems to be a container itself whose sandbox forbids namespaces: start the outer one ' +
        'with a seccomp profile that allows clone and mount (docker: --security-opt seccomp=unconfined)'
    : 'this host does not allow unprivileged user namespaces: look for an LSM or a seccomp filter'
}

function joinRefused({ errno }: Failure): string | undefined {
  if (errno === EPERM || errno === EACCES) {
    return 'only root and the user who started the container may join it'
  }
  return errno === ENOENT
    ? 'this kernel does not tell whose child a process is: it is built without CONFIG_PROC_CHILDREN'
    : undefined
}

function idMapRefused({ errno, detail }: Failure): string | undefined {
  if (errno === ENOENT) return 'install newuidmap and newgidmap (Debian: apt-get install uidmap)'
  if (/setuid|cap|Operation not permitted|not permitted/i.test(detail) && errno === EPERM) {
    return (
      'newuidmap and newgidmap must be setuid root (or have file capabilities), the caller must ' +
      'not run with no_new_privs, and the ranges must be those of /etc/subuid and /etc/subgid'
    )
  }
  if (detail !== '') return 'the ranges must be those of /etc/subuid and /etc/subgid for this user'
  return noUserNamespace({ errno })
}

function unmapped(): string {
  return 'the id is not mapped into the user namespace: give the user a range in /etc/subuid and /etc/subgid'
}

function overlayRefused({ errno }: Failure): string | undefined {
  if (errno === ENODEV) return 'the overlay module is not there: modprobe overlay'
  if (errno === ENOENT) return 'a layer directory is missing'
  if (errno === EPERM) return 'overlay mounts in a user namespace need Linux 5.11 or later'
  if (errno === EINVAL) {
    return (
      'the upper and work directories must be on one file system that overlay can write to: ' +
      'not NFS, not another overlay, not one without user extended attributes'
    )
  }
  return undefined
}

function mountRefused(failure: Failure): string | undefined {
  const { errno, mountType } = failure
  if (mountType === 'overlay') return overlayRefused(failure)
  if (errno === ELOOP) {
    return 'the image has a symbolic link where /proc, /sys or /dev belongs, which is never followed'
  }
  if (mountType === 'symlink' && errno === constants.errno.EEXIST) {
    return 'something else is there already'
  }
  if (mountType === 'bind' && errno === ENOENT) return 'the source must exist on the host'
  if (mountType === 'bind' && errno === EINVAL) {
    return (
      'a directory can only be bound to a directory, and a file only to a file; and with recursive: ' +
      'false, nothing may be mounted below the source'
    )
  }
  if (errno !== EPERM && errno !== EACCES) return undefined
  if (mountType === 'proc') {
    return (
      'the kernel allows a new /proc only where the old one is fully visible: in a container, ' +
      'start the outer one with an unmasked /proc (docker: --security-opt systempaths=unconfined)'
    )
  }
  if (mountType === 'sysfs') return 'a new sysfs needs an own network namespace'
  if (mountType === 'cgroup') return 'a new cgroup2 mount needs an own cgroup namespace'
  return undefined
}

function execRefused({ errno, interpreterMissing }: Failure): string | undefined {
  if (interpreterMissing) {
    return (
      'the file exists, but the interpreter in its first line, or the dynamic loader it was linked ' +
      'for, does not exist inside'
    )
  }
  if (errno === ENOENT) return 'it must exist inside the container, or on the PATH given in env'
  if (errno === EACCES) return 'it must be a file that the user inside may execute'
  if (errno === constants.errno.ENOEXEC) {
    return 'it is not a program for this processor, nor a script with a #! line'
  }
  if (errno === constants.errno.E2BIG) return 'arguments and environment are too large together'
  return undefined
}

function sysctl(name: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${name}`, 'utf8').trim()
  } catch {
    return undefined // this kernel does not have it
  }
}

function insideContainer(): boolean {
  return existsSync('/.dockerenv') || existsSync('/run/.containerenv')
}
