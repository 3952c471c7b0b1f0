import { accessSync, constants, existsSync } from 'node:fs'
import type { Facility } from '../facility.ts'
import { readText } from '../surroundings.ts'

/** Where the kernel tells of itself; for tests. */
export interface KernelFiles {
  actions: string
  lsm: string
  memfdNoexec: string
  tun: string
}

const FILES: KernelFiles = {
  actions: '/proc/sys/kernel/seccomp/actions_avail',
  lsm: '/sys/kernel/security/lsm',
  memfdNoexec: '/proc/sys/vm/memfd_noexec',
  tun: '/dev/net/tun',
}

/** What need not be tried, because the kernel says it. */
export function kernelFacilities(files: Partial<KernelFiles> = {}): Facility[] {
  const { actions, lsm, memfdNoexec, tun } = { ...FILES, ...files }
  return [notify(actions), landlock(lsm), memfd(memfdNoexec), tunDevice(tun)]
}

function notify(path: string): Facility {
  const name = 'seccomp-notify'
  if (readText(path).split(/\s+/).includes('user_notif')) return { name, ok: true }
  return { name, ok: false, why: `${path} does not list user_notif`, fix: 'Linux 5.0 or later' }
}

function landlock(path: string): Facility {
  const name = 'landlock'
  const modules = readText(path).trim()
  if (modules.split(',').includes('landlock')) return { name, ok: true }
  return {
    name,
    ok: false,
    why: modules === '' ? `${path} cannot be read` : `the kernel runs with lsm=${modules}`,
    fix: `boot with lsm=landlock,${modules || '…'}`,
  }
}

/** 1 makes memfds not executable unless asked for, which the addon does; 2 allows none to be. */
function memfd(path: string): Facility {
  const name = 'memfd'
  const value = readText(path).trim()
  if (value !== '2') return { name, ok: true }
  return {
    name,
    ok: false,
    detail: 'vm.memfd_noexec=2',
    why: 'no file in memory can be executed: the helper runs from where it is installed',
    fix: 'sysctl -w vm.memfd_noexec=1',
  }
}

function tunDevice(path: string): Facility {
  const name = 'tun'
  if (!existsSync(path)) {
    return { name, ok: false, why: `there is no ${path}`, fix: 'modprobe tun' }
  }
  try {
    accessSync(path, constants.R_OK | constants.W_OK)
    return { name, ok: true }
  } catch {
    const why = `${path} is not for this user: pasta and slirp4netns cannot work`
    return { name, ok: false, why, fix: `chmod 666 ${path}` }
  }
}
