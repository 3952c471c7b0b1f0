import { existsSync, lstatSync, readlinkSync, realpathSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Mount } from '../launch-spec.ts'

/** What a program of this machine needs to run: mounts, and links and files of the root itself. */
export interface HostSystem {
  mounts: Mount[]
  /** Path inside to what the symbolic link says. */
  links: ReadonlyMap<string, string>
  /** Path inside to text. */
  files: ReadonlyMap<string, string>
}

/** Whole trees: where distributions keep programs, /nix and /gnu included. */
const TREES = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32', '/nix', '/gnu']

/** The harmless part of /etc: what libraries need, nothing that tells of users, hosts or secrets. */
const SETTINGS = [
  'alternatives',
  'ca-certificates',
  'crypto-policies',
  'fonts',
  'ld.so.cache',
  'ld.so.conf',
  'ld.so.conf.d',
  'localtime',
  'mime.types',
  'os-release',
  'pki',
  'protocols',
  'python3',
  'services',
  'ssl',
  'terminfo',
  'timezone',
].map((name) => `/etc/${name}`)

const ACCOUNTS = new Map([
  ['/etc/passwd', 'root:x:0:0:root:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/false\n'],
  ['/etc/group', 'root:x:0:\nnogroup:x:65534:\n'],
  ['/etc/nsswitch.conf', 'passwd: files\ngroup: files\nhosts: files dns\n'],
  ['/etc/hosts', '127.0.0.1 localhost\n::1 localhost\n'],
])

/** This machine's system, read-only; with the Node that runs at `execPath`, wherever it is. */
export function hostSystem(execPath: string, network: 'host' | 'other'): HostSystem {
  const links = new Map<string, string>()
  const mounts: Mount[] = []
  for (const path of TREES) {
    if (!existsSync(path)) continue
    if (lstatSync(path).isSymbolicLink()) links.set(path, readlinkSync(path))
    else mounts.push(readonlyBind(path, path))
  }
  const settings = network === 'host' ? [...SETTINGS, '/etc/resolv.conf'] : SETTINGS
  for (const path of settings) {
    // where it leads: /etc/localtime is a link
    if (existsSync(path)) mounts.push(readonlyBind(realpathSync(path), path))
  }
  return { mounts: [...mounts, ...nodeMounts(execPath)], links, files: ACCOUNTS }
}

/** Where programs are looked for: the usual places, and that of the Node at `execPath`. */
export function systemPath(execPath: string): string {
  const usual = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
  return isOfSystem(execPath) ? usual : `${dirname(execPath)}:${usual}`
}

function isOfSystem(path: string): boolean {
  return TREES.some((tree) => path.startsWith(`${tree}/`))
}

/** A Node outside of the system's trees (nvm, volta, fnm), with its npm but nothing around it. */
function nodeMounts(execPath: string): Mount[] {
  if (isOfSystem(execPath)) return []
  const prefix = dirname(dirname(execPath))
  const modules = join(prefix, 'lib', 'node_modules')
  const distribution = basename(dirname(execPath)) === 'bin' && existsSync(join(modules, 'npm'))
  const paths = distribution ? [dirname(execPath), modules] : [execPath]
  return paths.map((path) => readonlyBind(realpathSync(path), path))
}

function readonlyBind(source: string, destination: string): Mount {
  return { type: 'bind', source, destination, readonly: true, nosuid: true, nodev: true }
}
