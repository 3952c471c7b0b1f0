import { existsSync, readFileSync } from 'node:fs'
import { nativeFs } from '../native-fs.ts'
import { parseLayout } from './layout.ts'
import type { PlaceFacts } from './place.ts'
import { findManager } from './systemd-scope.ts'

let mountinfo: string | undefined

/** What this host and this process's own groups look like now; mounts are read once. */
export function currentFacts(): PlaceFacts {
  mountinfo ??= readFileSync('/proc/self/mountinfo', 'utf8')
  return {
    layout: parseLayout(mountinfo, readFileSync('/proc/self/cgroup', 'utf8')),
    manager: findManager(),
    systemd: existsSync('/run/systemd/system'),
    isDelegated,
  }
}

// Set by systemd on the groups that it gives away: the first since 251, the second visible to root.
function isDelegated(directory: string): boolean {
  return ['user.delegate', 'trusted.delegate'].some((name) => {
    try {
      return nativeFs.getxattr(directory, name)?.toString() === '1'
    } catch {
      return false // no extended attributes here
    }
  })
}
