import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { readCertsDir } from './certs-dir.ts'
import type { TlsSettings } from './endpoint.ts'
import { type HostsToml, parseHostsToml } from './hosts-toml.ts'
import { isHost } from './location.ts'
import { readTomlFile } from './toml-file.ts'

/** What containerd's directories say of a registry: a hosts.toml, or else certificates. */
export type HostDirectory = { hosts: HostsToml } | { tls: TlsSettings; because: string }

/**
 * Look a registry up in directories such as `/etc/containerd/certs.d`: as `HOST_PORT_`, as `HOST:PORT`, and
 * as `_default`. The first that exists counts. Throws `ERR_REGISTRY_HOSTS`.
 */
export async function readHostsDirs(
  directories: readonly string[],
  registry: string,
): Promise<HostDirectory | undefined> {
  if (!isHost(registry)) return undefined
  for (const root of directories) {
    for (const name of directoryNames(registry)) {
      const found = await readHostDirectory(join(root, name))
      if (found !== undefined) return found
    }
  }
  return undefined
}

/** The names of a registry's directory, the first one first. */
export function directoryNames(registry: string): string[] {
  const escaped = registry.replace(/:(\d+)$/, '_$1_')
  return [...new Set([escaped, registry, '_default'])]
}

async function readHostDirectory(directory: string): Promise<HostDirectory | undefined> {
  if ((await readdir(directory).catch(() => undefined)) === undefined) return undefined
  const path = join(directory, 'hosts.toml')
  const file = await readTomlFile(path)
  if (file !== undefined) return { hosts: await parseHostsToml(file) }
  return { tls: (await readCertsDir(directory)) ?? {}, because: directory }
}
