import { existsSync, realpathSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { HOST_ETC, hostSystemMounts } from '../host-system.ts'
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
export function systemMounts(network: 'host' | 'own'): Mount[] {
  const etc = HOST_ETC.filter((name) => !PRIVATE_ETC.has(name))
  const system = hostSystemMounts({ etc: network === 'host' ? [...etc, 'resolv.conf'] : etc })
  const own = Object.entries(OWN_ETC).map(
    ([destination, content]): Mount => ({ type: 'file', destination, content }),
  )
  return [...system, ...own]
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
