import { accessSync, constants, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { CgroupStats, StatFiles } from './stats.ts'
import { parseCgroupStats, STAT_FILES } from './stats.ts'

/** The words of a file such as `cgroup.controllers`; none when it cannot be read. */
export function readWords(directory: string, file: string): string[] {
  return (readIfThere(directory, file) ?? '').split(/\s+/).filter(Boolean)
}

/** Undefined when it does not exist or may not be read, or its group is just going away. */
export function readIfThere(directory: string, file: string): string | undefined {
  try {
    return readFileSync(join(directory, file), 'utf8')
  } catch {
    return undefined
  }
}

/** Whether groups can be made in it, filled, and given controllers. */
export function isOurs(directory: string, version: 1 | 2): boolean {
  const files = version === 2 ? ['cgroup.procs', 'cgroup.subtree_control'] : ['cgroup.procs']
  try {
    for (const name of ['', ...files]) accessSync(join(directory, name), constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** What a version 2 group's files say now. */
export function readCgroupStats(directory: string): CgroupStats {
  const files: StatFiles = {}
  for (const name of STAT_FILES) files[name] = readIfThere(directory, name)
  return parseCgroupStats(files)
}
