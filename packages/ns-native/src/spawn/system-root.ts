import { existsSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { HOST_ETC, hostSystemDirectories, hostSystemMounts } from '../host-system.ts'
import type { Mount } from '../launch-spec.ts'

/** Half of the memory would be the kernel's default. */
const TMP_BYTES = 256 * 1024 * 1024

// Who the users of this machine are is nobody's business, nor which hosts it knows by name.
const PRIVATE_ETC = new Set<string>(['passwd', 'group', 'hosts', 'resolv.conf'])
const OWN_ETC = {
  '/etc/passwd':
    'root:x:0:0:root:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n',
  '/etc/group': 'root:x:0:\nnogroup:x:65534:\n',
  '/etc/hosts': '127.0.0.1\tlocalhost\n::1\tlocalhost\n',
}

/**
 * The mounts of a root in which this machine's programs run, read-only: its system, accounts that
 * tell nothing, and with the host's network its way to resolve names.
 */
export function systemMounts(network: 'host' | 'own'): readonly Mount[] {
  const last = looks.get(network)
  if (last !== undefined && isUnchanged(last)) return last.mounts
  const look = lookAtSystem(network)
  looks.set(network, look)
  return look.mounts
}

/** What was found of the system, and what the directories were like in which it was found. */
interface Look {
  mounts: readonly Mount[]
  directories: ReadonlyMap<string, string | undefined>
}

// It takes a hundred system calls to look, and ten to see that it would be in vain.
const looks = new Map<'host' | 'own', Look>()

function lookAtSystem(network: 'host' | 'own'): Look {
  const most = HOST_ETC.filter((name) => !PRIVATE_ETC.has(name))
  const etc = network === 'host' ? [...most, 'resolv.conf'] : most
  // before we look, so that what changes meanwhile is noticed the next time
  const states = new Map(hostSystemDirectories([], etc).map((path) => [path, stateOf(path)]))
  const system = hostSystemMounts({ etc })
  for (const path of hostSystemDirectories(system, [])) {
    if (!states.has(path)) states.set(path, stateOf(path))
  }
  const own = Object.entries(OWN_ETC).map(
    ([destination, content]): Mount => ({ type: 'file', destination, content }),
  )
  return { mounts: [...system, ...own], directories: states }
}

function isUnchanged({ directories }: Look): boolean {
  for (const [path, state] of directories) {
    if (state === undefined || stateOf(path) !== state) return false
  }
  return true
}

/**
 * Another one whenever something is made, removed or renamed in a directory, or it is another directory;
 * undefined where that cannot be told.
 */
function stateOf(directory: string): string | undefined {
  try {
    const status = statSync(directory, { bigint: true, throwIfNoEntry: false })
    return status === undefined ? 'none' : `${status.dev}:${status.ino}:${status.ctimeNs}`
  } catch {
    return undefined
  }
}

/** A /proc, a /dev and a /tmp of the sandbox's own. */
export const KERNEL_MOUNTS: readonly Mount[] = [
  { type: 'proc', destination: '/proc', nosuid: true, nodev: true, noexec: true },
  { type: 'dev', destination: '/dev' },
]

/** A directory of its own, empty, that lasts as long as its processes. */
export function scratch(destination: string, sizeBytes = TMP_BYTES): Mount {
  return { type: 'tmpfs', destination, mode: 0o1777, sizeBytes, nosuid: true, nodev: true }
}

/** Where programs are looked for: the usual places, and that of the Node at `execPath`. */
export function systemPath(execPath: string): string {
  const usual = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
  return isOfSystem(execPath) ? usual : `${dirname(execPath)}:${usual}`
}

/**
 * A Node outside of the system's trees (nvm, volta, fnm), with its npm but nothing around it. To be
 * mounted after an empty directory that it may lie in, such as /tmp.
 */
export function nodeMounts(execPath: string): Mount[] {
  if (isOfSystem(execPath)) return []
  const modules = join(dirname(dirname(execPath)), 'lib', 'node_modules')
  const distribution = basename(dirname(execPath)) === 'bin' && existsSync(join(modules, 'npm'))
  const paths = distribution ? [dirname(execPath), modules] : [execPath]
  return paths.map((path) => ({
    type: 'bind',
    source: realpathSync(path),
    destination: path,
    readonly: true,
    nosuid: true,
    nodev: true,
  }))
}

/** Whether this Node lies outside of the system's trees. */
export function hasPrivateNode(execPath: string): boolean {
  return !isOfSystem(execPath)
}

function isOfSystem(path: string): boolean {
  return ['/usr/', '/bin/', '/nix/store/', '/gnu/store/'].some((tree) => path.startsWith(tree))
}
