import { existsSync, lstatSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { readText } from './host-files.ts'

/** Where the helper goes for AppArmor, which allows user namespaces by path. */
export const FIXED_HELPER = '/usr/libexec/cromwell/init'

/** The profile that is attached to {@link FIXED_HELPER}. */
export const PROFILE_PATH = '/etc/apparmor.d/cromwell-init'

/** Where AppArmor shows what it does; for tests. */
export interface AppArmorFiles {
  /** Ubuntu's restriction of user namespaces: 1 where a program needs a profile to use one. */
  restriction: string
  /** The profile that confines this process. */
  label: string
  /** There since AppArmor 4, the first to know of user namespaces. */
  abi: string
  enabled: string
}

const FILES: AppArmorFiles = {
  restriction: '/proc/sys/kernel/apparmor_restrict_unprivileged_userns',
  label: '/proc/self/attr/apparmor/current',
  abi: '/etc/apparmor.d/abi/4.0',
  enabled: '/sys/module/apparmor/parameters/enabled',
}

/** What AppArmor does on this host. */
export interface AppArmor {
  /** It runs, and profiles can speak of user namespaces. */
  mediates: boolean
  /** Who is not confined may use user namespaces only by a profile that says so. */
  restricts: boolean
  /** The profile that this process is confined by. */
  confinedBy?: string
}

/** Looks anew each time. */
export function appArmor(files: Partial<AppArmorFiles> = {}): AppArmor {
  const { restriction, label, abi, enabled } = { ...FILES, ...files }
  const confinedBy = /^(.+) \((?:enforce|kill|prompt)\)$/.exec(readText(label).trim())?.[1]
  return {
    mediates: readText(enabled).trim() === 'Y' && existsSync(abi),
    restricts: readText(restriction).trim() === '1',
    ...(confinedBy === undefined ? {} : { confinedBy }),
  }
}

/** `missing`: or not to be seen by this process. `other`: not the same as ours, or not root's alone. */
export type FixedHelper = 'missing' | 'other' | 'ready'

/** Whether a file is the same as ours, and nobody but root can change that. */
export function fixedHelper(packaged: string, path = FIXED_HELPER): FixedHelper {
  try {
    const [file, directory] = [lstatSync(path), lstatSync(dirname(path))]
    const safe = [file, directory].every(({ uid, mode }) => uid === 0 && (mode & 0o022) === 0)
    if (!safe || !file.isFile()) return 'other'
    return readFileSync(path).equals(readFileSync(packaged)) ? 'ready' : 'other'
  } catch {
    return 'missing'
  }
}
