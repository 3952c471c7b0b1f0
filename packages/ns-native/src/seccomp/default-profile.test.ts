import { describe, expect, test } from 'vitest'
import { defaultSeccomp } from './default-filter.ts'
import { defaultSeccompProfile } from './default-profile.ts'
import { interpretSeccomp } from './interpret.ts'
import { buildLibseccompProgram, compileByLibseccomp } from './libseccomp.test.fixture.ts'
import type { SeccompArch } from './profile.ts'
import { syscallNumbers } from './syscall-table.ts'

const ARCHES = ['x64', 'arm64'] as const
const program = defaultSeccomp('x64')
const nested = defaultSeccomp('x64', { allowNestedNamespaces: true })

function rulesOf(arch: SeccompArch, options = {}) {
  return defaultSeccompProfile(arch, options).syscalls ?? []
}

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
  const named = new Set(rulesOf('x64').flatMap((rule) => rule.names ?? []))
  const undecided = [...syscallNumbers('x64').keys()].filter((name) => !named.has(name))
  expect(undecided).toEqual(NOT_OFFERED)
})

test('a call has one rule for all arguments, or several that each look at one', () => {
  for (const allowNestedNamespaces of [false, true]) {
    const rules = rulesOf('x64', { allowNestedNamespaces })
    const general = rules.filter((rule) => !rule.args).flatMap((rule) => rule.names ?? [])
    const special = rules.filter((rule) => rule.args).flatMap((rule) => rule.names ?? [])
    // of two general ones the first counts
    expect(general.filter((name, at) => general.indexOf(name) < at)).toEqual(
      allowNestedNamespaces ? ['sethostname', 'setdomainname'] : [],
    )
    expect(general.filter((name) => special.includes(name))).toEqual([])
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

// What the profile says, straight from its rules: special ones stand before general ones there.
function judge(arch: SeccompArch, options: object, name: string, args: readonly bigint[]) {
  const { defaultErrnoRet = 0 } = defaultSeccompProfile(arch, options)
  const rule = rulesOf(arch, options).find(
    ({ names = [], args: tests }) =>
      names.includes(name) &&
      (tests ?? []).every(({ index, op, value, valueTwo }) =>
        op === 'SCMP_CMP_GE'
          ? (args[index] ?? 0n) >= BigInt(value)
          : ((args[index] ?? 0n) & BigInt(value)) === BigInt(valueTwo ?? 0),
      ),
  )
  const { action = 'SCMP_ACT_ERRNO', errnoRet = defaultErrnoRet } = rule ?? {}
  return action === 'SCMP_ACT_ERRNO' ? { action, errnoRet } : { action }
}

// Values near every one that the profile asks about, in both halves.
function samples(arch: SeccompArch): bigint[][] {
  const args = rulesOf(arch).flatMap((rule) => rule.args ?? [])
  const values = args.flatMap(({ value, valueTwo }) => [BigInt(value), BigInt(valueTwo ?? 0)])
  const bits = Array.from({ length: 64 }, (_, bit) => 1n << BigInt(bit))
  const near = new Set([...values, ...bits, ...values.flatMap((v) => [v + 1n, v | (1n << 32n)])])
  return [...near].map((value) => [value, value])
}

// expect() for each of some ten thousand calls would take seconds
function differences(
  arch: SeccompArch,
  one: (name: string, args: bigint[]) => object,
  other: (name: string, args: bigint[]) => object,
): string[] {
  const asked = new Set(rulesOf(arch).flatMap((rule) => (rule.args ? (rule.names ?? []) : [])))
  const many = samples(arch)
  return [...syscallNumbers(arch).keys()].flatMap((name) =>
    (asked.has(name) ? many : [[]]).flatMap((args) => {
      const [a, b] = [one(name, args), other(name, args)].map((answer) => JSON.stringify(answer))
      return a === b ? [] : [`${name}(${args}): ${a}, not ${b}`]
    }),
  )
}

describe.each(ARCHES)('the filter for %s', (arch) => {
  const inFilter = (filter: Uint8Array) => (syscall: string, args: bigint[]) =>
    interpretSeccomp(filter, { arch, syscall, args })

  test.each([false, true])('does what the profile says, nested namespaces %s', (nesting) => {
    const options = { allowNestedNamespaces: nesting }
    const filter = defaultSeccomp(arch, options)
    const said = (name: string, args: bigint[]) => judge(arch, options, name, args)
    expect(differences(arch, inFilter(filter), said)).toEqual([])
  })

  test('does what libseccomp makes of the profile, for the calls that it knows', (context) => {
    const libseccomp = buildLibseccompProgram(context)
    const rules = rulesOf(arch).flatMap((rule) => {
      const action = rule.action === 'SCMP_ACT_ALLOW' ? 0x7fff0000 : 0x50000 + (rule.errnoRet ?? 1)
      const args = (rule.args ?? []).map((arg) => ({
        index: arg.index,
        op: arg.op,
        value: BigInt(arg.value),
        valueTwo: BigInt(arg.valueTwo ?? 0),
      }))
      const names = action === 0x50000 + ENOSYS ? [] : (rule.names ?? [])
      return names.map((name) => ({ name, action, args }))
    })
    const [theirs] = compileByLibseccomp(libseccomp, [{ arch, otherwise: 0x50000 + 38, rules }])
    if (theirs === undefined) throw new Error('libseccomp refuses the profile')
    const newer = [...syscallNumbers(arch)]
      .filter(([, number]) => number >= 450)
      .map(([name]) => name)
    // libseccomp 2.5.4 is of 2022: what came later has no name there
    const unknown = new Set([...newer, 'uretprobe', 'uprobe'])
    const found = differences(arch, inFilter(defaultSeccomp(arch)), inFilter(theirs))
    expect(found.filter((line) => !unknown.has(line.slice(0, line.indexOf('('))))).toEqual([])
  })

  test('answers numbers that are no system call with ENOSYS', () => {
    const known = new Set(syscallNumbers(arch).values())
    for (let syscall = 0; syscall < 2000; syscall++) {
      if (known.has(syscall)) continue
      const verdict = interpretSeccomp(defaultSeccomp(arch), { arch, syscall })
      expect(verdict).toEqual({ action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS })
    }
  })

  test('keeps the result that a tracer gave a call that it cancelled', () => {
    const verdict = interpretSeccomp(defaultSeccomp(arch), { arch, syscall: 0xffffffff })
    expect(verdict).toEqual({ action: 'SCMP_ACT_ALLOW' })
  })

  test('stays small', () => {
    expect(defaultSeccomp(arch).length / 8).toBeLessThan(256)
  })
})

test('the profile survives JSON', () => {
  const profile = defaultSeccompProfile('x64')
  expect(JSON.parse(JSON.stringify(profile))).toEqual(profile)
})
