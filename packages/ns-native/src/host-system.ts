import { existsSync, lstatSync, readlinkSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Mount } from './launch-spec.ts'

/** What {@link hostSystemMounts} takes. */
export interface HostSystemOptions {
  /** What is shown of /etc, by paths below it; {@link HOST_ETC} unless given. */
  etc?: readonly string[]
  /** Where the host's files are; `/` unless given. */
  root?: string
}

// Programs and their libraries. The last three are where NixOS and Guix keep everything.
const SYSTEM_DIRECTORIES = [
  '/usr',
  '/bin',
  '/sbin',
  '/lib',
  '/lib32',
  '/lib64',
  '/libx32',
  '/nix/store',
  '/run/current-system',
  '/gnu/store',
]

/**
 * Paths in /etc that programs read, and that tell of the machine no more than its `/usr` does: how
 * names and libraries are found, certificates, time zone, locales. Not among them are shadow, machine-id,
 * hostname, ssh, private keys, or what is configured for services: as root inside, root could read them.
 */
export const HOST_ETC = [
  'alternatives',
  'ca-certificates',
  'ca-certificates.conf',
  'crypto-policies',
  'fonts',
  'gai.conf',
  'group',
  'host.conf',
  'hosts',
  'java',
  'ld.so.cache',
  'ld.so.conf',
  'ld.so.conf.d',
  'ld-musl-aarch64.path',
  'ld-musl-x86_64.path',
  'locale.alias',
  'locale.conf',
  'localtime',
  'magic',
  'magic.mime',
  'mime.types',
  'nsswitch.conf',
  'os-release',
  'passwd',
  'pki/ca-trust',
  'pki/tls/cert.pem',
  'pki/tls/certs',
  'pki/tls/openssl.cnf',
  'protocols',
  'resolv.conf',
  'services',
  'ssl/ca-bundle.pem',
  'ssl/cert.pem',
  'ssl/certs',
  'ssl/openssl.cnf',
  'static',
  'terminfo',
  'timezone',
] as const

/**
 * The mounts that show the host's installed programs, read-only, and nothing else of it: for a root
 * that is a fresh tmpfs, `root: { tmpfs: {} }`.
 *
 * Links are taken over where they lead to something that is shown (a merged /usr's /bin, /etc/localtime)
 * and resolved where they do not (systemd's /etc/resolv.conf); what the host does not have is left out.
 * Reads links and nothing more, synchronously. Devices do not work in these mounts, and neither
 * do set-user-ID bits.
 */
export function hostSystemMounts(options: HostSystemOptions = {}): Mount[] {
  const { etc = HOST_ETC, root = '/' } = options
  const directories = SYSTEM_DIRECTORIES.filter((path) => isDirectory(join(root, path)))
  const paths = [...directories, ...etc.map((name) => join('/etc', name))]
  const shown = directories.filter((path) => !isLink(join(root, path)))
  return paths.flatMap((path) => mountOf(path, root, shown))
}

/**
 * The directories that decide what {@link hostSystemMounts} finds: of every path that it looks for, and of every
 * file that a link led it to. As long as none of them changes, its answer does not.
 */
export function hostSystemDirectories(
  mounts: readonly Mount[],
  etc: readonly string[] = HOST_ETC,
): string[] {
  const found = mounts.flatMap((mount) => (mount.type === 'bind' ? mount.source : []))
  const paths = [...SYSTEM_DIRECTORIES, ...etc.map((name) => join('/etc', name)), ...found]
  return [...new Set(paths.map((path) => dirname(path)))]
}

function mountOf(path: string, root: string, shown: readonly string[]): Mount[] {
  const source = join(root, path)
  if (isLink(source)) {
    const target = readlinkSync(source)
    if (isShown(join(path, '..'), target, shown)) {
      return [{ type: 'symlink', destination: path, target }]
    }
  }
  const real = realPath(source)
  if (real === undefined) return []
  const flags = { readonly: true, nosuid: true, nodev: true }
  return [{ type: 'bind', source: real, destination: path, ...flags }]
}

/** Whether a link in `directory` leads to one of the directories that are shown, or into it. */
function isShown(directory: string, target: string, shown: readonly string[]): boolean {
  const path = target.startsWith('/') ? join(target) : join(directory, target)
  return shown.some((top) => path === top || path.startsWith(`${top}/`))
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true
}

function isDirectory(path: string): boolean {
  return existsSync(path) && lstatSync(realpathSync(path)).isDirectory()
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync(path)
  } catch {
    return undefined // not there, a link to nowhere, or where this user may not look
  }
}
