import { accessSync, constants, readFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import type { IdMappingFacts } from './id-mapping.ts'

/** Where a distribution puts programs. */
const USUAL_PATH = '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin'

/** All of {@link IdMappingFacts}, as found here. */
export interface HostIdMappingFacts extends IdMappingFacts {
  ownGidMap: string
  /** Supplementary groups of this process. */
  groups: readonly number[]
}

/**
 * What decides which id mapping this user can have: ids of this process and files of this machine,
 * read anew each time. Synchronous, well under 1 ms. `path` is a list like `$PATH`; the usual
 * directories follow it.
 */
export function idMappingFacts(path = ''): HostIdMappingFacts {
  return {
    uid: process.geteuid?.() ?? 0,
    gid: process.getegid?.() ?? 0,
    groups: process.getgroups?.() ?? [],
    userName: loginName(),
    subuid: readText('/etc/subuid'),
    subgid: readText('/etc/subgid'),
    newuidmap: findProgram('newuidmap', path),
    newgidmap: findProgram('newgidmap', path),
    ownMap: readText('/proc/self/uid_map'),
    ownGidMap: readText('/proc/self/gid_map'),
  }
}

/** Where a program of the system is: in the absolute directories of `path`, then in the usual ones. */
export function findProgram(name: string, path = ''): string | undefined {
  return `${path}:${USUAL_PATH}`
    .split(':')
    .filter((directory) => directory.startsWith('/'))
    .map((directory) => join(directory, name))
    .find(isExecutable)
}

/** The text of a file, empty where it cannot be read. */
export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function loginName(): string {
  try {
    return userInfo().username
  } catch {
    return String(process.geteuid?.() ?? 0) // an id without an entry in passwd
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
