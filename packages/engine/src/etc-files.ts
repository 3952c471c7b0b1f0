import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Networks a container can be on. */
export type Network = 'host' | 'none'

/** What the files in /etc are made from. */
export interface EtcFilesOptions {
  hostname: string
  network: Network
  /** `key="value"` lines of /run/.containerenv. */
  containerenv: Readonly<Record<string, string>>
}

/** A file of ours and where the container sees it. */
export interface EtcFile {
  source: string
  destination: string
}

const LOCALHOST = '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n'

/**
 * Write the files that describe a container to itself into `directory`, to be bind-mounted: an
 * image may have a symbolic link in their place, so nothing is ever written into the image by path.
 * On the host's network names resolve as they do on the host; without one there is only localhost.
 */
export function writeEtcFiles(directory: string, options: EtcFilesOptions): EtcFile[] {
  mkdirSync(directory, { mode: 0o700 })
  const files: [destination: string, content: string][] = [
    ['/etc/hosts', hosts(options)],
    ['/etc/hostname', `${options.hostname}\n`],
    ['/etc/resolv.conf', resolvConf(options.network)],
    ['/run/.containerenv', keyValueLines(options.containerenv)],
  ]
  return files.map(([destination, content]) => {
    const source = join(directory, destination.replace(/^.*\/\.?/, ''))
    writeFileSync(source, content)
    chmodSync(source, 0o644) // whatever the umask: any user inside may read them, as in every /etc
    return { source, destination }
  })
}

function hosts({ hostname, network }: EtcFilesOptions): string {
  const base = network === 'host' ? (readText('/etc/hosts') ?? LOCALHOST) : LOCALHOST
  const separator = base.endsWith('\n') || base === '' ? '' : '\n'
  return `${base}${separator}127.0.0.1\t${hostname}\n`
}

function resolvConf(network: Network): string {
  return network === 'host' ? (readText('/etc/resolv.conf') ?? '') : '# no network\n'
}

function keyValueLines(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([key, value]) => `${key}="${value.replace(/["\\$`]/g, '\\$&')}"\n`)
    .join('')
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
