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

const delegated = new Set<string>()

/** A group was found to be this user's, and its controllers are handed down: said to other processes, too. */
export function markDelegated(directory: string): void {
  delegated.add(directory)
  try {
    nativeFs.setxattr(directory, MARKS[0], Buffer.from('1'))
  } catch {
    // no extended attributes here
  }
}

// Set by systemd on the groups that it gives away: the first since 251, where it may, the second visible to root.
const MARKS = ['user.delegate', 'trusted.delegate'] as const

function isDelegated(directory: string): boolean {
  if (delegated.has(directory)) return true
  return MARKS.some((name) => {
    try {
      return nativeFs.getxattr(directory, name)?.toString() === '1'
    } catch {
      return false // no extended attributes here
    }
  })
}
