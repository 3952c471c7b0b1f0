import { expect, test } from 'vitest'
import { compileOrdered } from './compile-ordered.ts'
import { defaultProfile } from './default-profile.ts'
import { interpretSeccomp } from './interpret.ts'
import { syscallNumbers } from './syscall-table.ts'

const program = compileOrdered(defaultProfile(), 'x64')
const nested = compileOrdered(defaultProfile({ allowNestedNamespaces: true }), 'x64')

// 'allow', or the errno
function answer(syscall: string, args: readonly bigint[] = [], filter = program): 'allow' | number {
  const verdict = interpretSeccomp(filter, { arch: 'x64', syscall, args })
  if (verdict.action === 'SCMP_ACT_ERRNO') return verdict.errnoRet
  expect(verdict.action).toBe('SCMP_ACT_ALLOW')
  return 'allow'
}

const EPERM = 1
const ENOSYS = 38
const EAFNOSUPPORT = 97

// Calls of long ago that kernels answer with ENOSYS themselves, and three that need a security module.
const NOT_OFFERED = `_sysctl afs_syscall create_module epoll_ctl_old epoll_wait_old get_kernel_syms
  get_thread_area getpmsg lsm_get_self_attr lsm_list_modules lsm_set_self_attr nfsservctl putpmsg
  query_module security set_thread_area sysfs tuxcall uselib ustat vserver`.split(/\s+/)

test('every system call of the table has been decided about', () => {
  const named = new Set(defaultProfile().syscalls.flatMap((rule) => rule.names))
  const undecided = [...syscallNumbers('x64').keys()].filter((name) => !named.has(name))
  expect(undecided).toEqual(NOT_OFFERED)
})

test('no unconditional rule contradicts another', () => {
  for (const options of [{}, { allowNestedNamespaces: true }]) {
    const nestable = new Set('clone clone3 unshare setns sethostname setdomainname'.split(' '))
    const names = defaultProfile(options)
      .syscalls.filter((rule) => rule.args === undefined)
      .flatMap((rule) => rule.names)
      .filter((name) => !nestable.has(name))
    expect(new Set(names).size).toBe(names.length)
  }
})

test('what a shell, a package manager, a database or a browser calls is allowed', () => {
  const calls = `read openat execve clone wait4 rt_sigreturn mmap futex epoll_pwait socket sendfile
    chown mknodat setresuid setgroups chroot shmget semtimedop io_submit ptrace process_vm_readv
    seccomp landlock_create_ruleset memfd_create pidfd_open fchmodat2 mseal rseq prctl arch_prctl`
  for (const name of calls.split(/\s+/)) expect([name, answer(name)]).toEqual([name, 'allow'])
})

test('the kernel’s dangerous doors answer EPERM, nested namespaces or not', () => {
  const calls = `io_uring_setup io_uring_enter io_uring_register add_key request_key keyctl bpf
    perf_event_open userfaultfd open_by_handle_at kexec_load kexec_file_load init_module
    finit_module delete_module pidfd_getfd reboot swapon syslog ioperm iopl modify_ldt`
  for (const name of calls.split(/\s+/)) {
    expect([name, answer(name), answer(name, [], nested)]).toEqual([name, EPERM, EPERM])
  }
})

test('CVE-2022-0185: no new namespaces by clone, unshare or setns', () => {
  const flags = [
    0x20000n,
    0x2000000n,
    0x4000000n,
    0x8000000n,
    0x10000000n,
    0x20000000n,
    0x40000000n,
  ]
  for (const flag of flags) {
    expect(answer('clone', [flag | 17n])).toBe(EPERM)
    expect(answer('clone', [flag | (1n << 40n)])).toBe(EPERM)
    expect(answer('unshare', [flag])).toBe(EPERM)
    expect(answer('clone', [flag], nested)).toBe('allow')
  }
  expect(answer('unshare', [0x80n])).toBe(EPERM)
  expect(answer('setns', [3n, 0n])).toBe(EPERM)
  expect(answer('clone', [0x3d0f00n])).toBe('allow')
  expect(answer('unshare', [0x600n])).toBe('allow')
})

test('clone3, whose flags no filter can see, does not exist', () => {
  expect(answer('clone3')).toBe(ENOSYS)
  expect(answer('clone3', [], nested)).toBe('allow')
})

test('nothing can be mounted unless namespaces may be nested', () => {
  const calls = `mount umount2 pivot_root fsopen fsconfig fsmount fspick move_mount open_tree
    open_tree_attr mount_setattr`
  for (const name of calls.split(/\s+/)) {
    expect([name, answer(name), answer(name, [], nested)]).toEqual([name, EPERM, 'allow'])
  }
})

test('CVE-2019-10063: TIOCSTI and TIOCLINUX are seen whatever the high bits of the request are', () => {
  for (const request of [0x5412n, 0x541cn]) {
    for (const high of [0n, 1n << 32n, 0xffffffffn << 32n]) {
      expect(answer('ioctl', [0n, request | high])).toBe(EPERM)
    }
  }
  expect(answer('ioctl', [0n, 0x5413n])).toBe('allow')
})

test('sockets of the kernel’s crypto and of the hypervisor are not to be had', () => {
  for (const family of [38n, 40n, 40n | (1n << 32n)]) {
    expect(answer('socket', [family])).toBe(EAFNOSUPPORT)
  }
  for (const family of [1n, 2n, 10n, 16n, 39n, 41n])
    expect(answer('socket', [family])).toBe('allow')
})

test('a personality that weakens the address space layout is refused', () => {
  for (const persona of [0n, 8n, 0x20000n, 0x20008n, 0xffffffffn]) {
    expect(answer('personality', [persona])).toBe('allow')
  }
  for (const persona of [0x40000n, 0x400000n, 1n])
    expect(answer('personality', [persona])).toBe(EPERM)
})
