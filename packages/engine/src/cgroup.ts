import { statfsSync } from 'node:fs'

/** `f_type` of cgroup v2, from linux/magic.h. */
const CGROUP2_SUPER_MAGIC = 0x6367_7270

/** Whether the host has cgroup v2, and only that, at its usual place. */
export function hasCgroup2(path = '/sys/fs/cgroup'): boolean {
  try {
    return statfsSync(path).type === CGROUP2_SUPER_MAGIC
  } catch {
    return false
  }
}
