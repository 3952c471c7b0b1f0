import { accessSync, constants, existsSync, readFileSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import type { Facility } from './facility.ts'

const CGROUP2_SUPER_MAGIC = 0x63677270

/** Which cgroup hierarchy the host has, and whether this process may make groups in its own; only looks. */
export function cgroupFacility(mountPoint = '/sys/fs/cgroup'): Facility {
  const name = 'cgroup'
  if (!existsSync(mountPoint)) {
    return { name, ok: false, detail: 'none', why: `there is no ${mountPoint}` }
  }
  if (!isCgroup2(mountPoint)) {
    const hybrid = isCgroup2(join(mountPoint, 'unified'))
    return {
      name,
      ok: false,
      detail: hybrid ? 'hybrid' : 'v1',
      why: 'only cgroup v2 can be handed to a plain user',
      fix: 'boot with systemd.unified_cgroup_hierarchy=1',
    }
  }
  const group = join(mountPoint, ownGroup(readFileSync('/proc/self/cgroup', 'utf8')))
  try {
    const controllers = readFileSync(join(group, 'cgroup.controllers'), 'utf8').trim()
    const detail = controllers === '' ? 'v2, no controllers' : `v2, ${controllers}`
    if (isWritable(group) && isWritable(join(group, 'cgroup.procs'))) {
      return { name, ok: true, detail }
    }
    return {
      name,
      ok: false,
      detail,
      why: `${group} was not delegated to this user`,
      fix: DELEGATE,
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return { name, ok: false, detail: 'v2', why: `cannot look at ${group}: ${why}` }
  }
}

const DELEGATE = 'as the user itself: systemd-run --user --scope -p Delegate=yes COMMAND'

/** The path after `0::`, which is the cgroup v2 line of /proc/self/cgroup. */
function ownGroup(text: string): string {
  return /^0::(.*)$/m.exec(text)?.[1] ?? '/'
}

function isCgroup2(path: string): boolean {
  try {
    return statfsSync(path).type === CGROUP2_SUPER_MAGIC
  } catch {
    return false
  }
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK)
    return true
  } catch {
    return false
  }
}
