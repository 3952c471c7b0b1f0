import { readFileSync } from 'node:fs'
import { currentFacts } from './facts.ts'
import type { Group } from './groups.ts'
import { attachToScope } from './systemd-scope.ts'

/**
 * Puts the monitor of a program that joins a container into the container's scope, where that came
 * from systemd: from outside nobody may be born in it, and only systemd may move somebody there.
 * Undefined where nothing is to be done.
 */
export function scopeEntry(
  pid: number,
): ((monitorPid: number) => Promise<readonly Group[]>) | undefined {
  const scope = /^0::.*\/(cromwell-[^/]*\.scope)\//m.exec(groupsOf(pid))?.[1]
  if (scope === undefined || groupsOf('self').includes(`/${scope}/`)) return undefined
  const { manager } = currentFacts()
  if (manager === undefined) return undefined
  return async (monitorPid) => {
    await attachToScope(manager, { scope, group: '/monitor', pid: monitorPid })
    return [] // the helper finds the container's groups itself
  }
}

function groupsOf(pid: number | 'self'): string {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, 'utf8')
  } catch {
    return '' // it has ended
  }
}
