import { constants } from 'node:os'
import type { Failure } from './remedies.ts'
import type { Step } from './steps.ts'

const { E2BIG, EACCES, EINVAL, ENOENT, EPERM, EROFS, EXDEV } = constants.errno

/** What to do when one of these steps fails: joined namespaces, ranks and limits, labels, Landlock. */
export const PRIVILEGE_REMEDIES: Partial<Record<Step, (failure: Failure) => string | undefined>> = {
  'ns.join': joinRefused,
  sched: ({ errno, call }) =>
    call === 'sched_setaffinity'
      ? 'none of the processors named is there, or the cpuset of the caller has none of them'
      : errno === EPERM || errno === EACCES
        ? 'only root (CAP_SYS_NICE) may raise a priority above the caller’s own'
        : undefined,
  oomscore: ({ errno }) =>
    errno === EACCES || errno === EPERM
      ? 'only root (CAP_SYS_RESOURCE) may lower oom_score_adj below the caller’s own'
      : undefined,
  rlimit: ({ errno }) =>
    errno === EPERM
      ? 'only root (CAP_SYS_RESOURCE) may raise a hard limit: see ulimit -aH'
      : undefined,
  'userns.limit': ({ errno }) =>
    errno === EROFS || errno === EXDEV
      ? 'in a container, start the outer one with a writable /proc/sys (docker: --security-opt systempaths=unconfined)'
      : undefined,
  'caps.ambient': () => 'the capability must be among those the process has',
  'lsm.label': ({ errno }) =>
    errno === ENOENT
      ? 'the profile must be loaded: apparmor_parser -r'
      : errno === EACCES || errno === EPERM
        ? 'the security policy does not let the caller change to it'
        : undefined,
  landlock: ({ errno }) =>
    errno === ENOENT
      ? 'the path must exist inside, or the rule say `optional: true`'
      : errno === E2BIG
        ? 'this process has been restricted by Landlock 16 times already'
        : undefined,
}

function joinRefused({ errno, call }: Failure): string | undefined {
  if (call === 'open' && errno === ENOENT) {
    return 'the process whose namespace it is must be running: see lsns(8)'
  }
  if (call === 'ioctl') {
    return 'it must be a namespace of that type: /proc/PID/ns/user, mnt, pid, net, ipc, uts, cgroup or time'
  }
  if (call === 'setns' && errno === EINVAL) return 'the caller is in that user namespace already'
  if (errno !== EPERM && errno !== EACCES) return undefined
  return 'only the owner may join a namespace: join the user namespace that it belongs to as well'
}
