import { accessSync, constants, existsSync } from 'node:fs'
import { tryBinding } from '../binding.ts'
import type { Facility } from '../facility.ts'
import { readText } from '../host-files.ts'
import { landlock } from '../landlock.ts'

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
export function kernelFacilities(
  files: Partial<KernelFiles> = {},
  landlockAbi: () => number = askLandlock,
): Facility[] {
  const { actions, lsm, memfdNoexec, tun } = { ...FILES, ...files }
  return [notify(actions), landlockFacility(lsm, landlockAbi()), memfd(memfdNoexec), tunDevice(tun)]
}

function notify(path: string): Facility {
  const name = 'seccomp-notify'
  if (readText(path).split(/\s+/).includes('user_notif')) return { name, ok: true }
  return { name, ok: false, why: `${path} does not list user_notif`, fix: 'Linux 5.0 or later' }
}

function askLandlock(): number {
  return tryBinding() === undefined ? 0 : landlock.abi()
}

function landlockFacility(path: string, abi: number): Facility {
  const name = 'landlock'
  if (abi > 0) return { name, ok: true, detail: `ABI ${abi}` }
  const modules = readText(path).trim()
  const off = modules !== '' && !modules.split(',').includes('landlock')
  return {
    name,
    ok: false,
    why: off ? `the kernel runs with lsm=${modules}` : 'the kernel does not answer for it',
    fix: off ? `boot with lsm=landlock,${modules}` : 'Linux 5.13 or later, with Landlock built in',
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
