import { accessSync, constants, readFileSync } from 'node:fs'
import { homedir, tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import type { IdMappingFacts } from './id-mapping.ts'

/**
 * What `spawn`, `sandbox` and `probe` know of the process that calls them: like `child_process`,
 * they are for programs, and a relative path, `~` and `env.pass` mean the caller's. The one place
 * of this package that looks; all below is given what it needs.
 */
export interface Surroundings {
  /** What relative paths are relative to. Absolute. */
  cwd: string
  /** What `~` stands for. Absolute. */
  home: string
  /** Where what lives as long as a sandbox is kept. Absolute. */
  temporary: string
  /** Where `env.pass` takes values from. */
  env: Readonly<Record<string, string | undefined>>
  /** Of Node, so that `node` means the same inside. */
  execPath: string
}

/** The caller's, now. */
export function surroundings(): Surroundings {
  return {
    cwd: process.cwd(),
    home: homedir(),
    temporary: tmpdir(),
    env: process.env,
    execPath: process.execPath,
  }
}

/** What decides which id mapping this user can have: files of this machine, read anew each time. */
export function idMappingFacts(): IdMappingFacts & { groups: readonly number[] } {
  return {
    uid: process.geteuid?.() ?? 0,
    gid: process.getegid?.() ?? 0,
    groups: process.getgroups?.() ?? [],
    userName: loginName(),
    subuid: readText('/etc/subuid'),
    subgid: readText('/etc/subgid'),
    newuidmap: findProgram('newuidmap'),
    newgidmap: findProgram('newgidmap'),
    ownMap: readText('/proc/self/uid_map'),
    ownGidMap: readText('/proc/self/gid_map'),
  }
}

/** Where a program of the system is, on the caller's PATH or in the usual places. */
export function findProgram(name: string): string | undefined {
  return `${process.env['PATH'] ?? ''}:/usr/bin:/bin:/usr/sbin:/sbin`
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
