import { resolve } from 'node:path'
import type { RunOptions } from '@cromwell/engine'
import type { Environment } from './environment.ts'
import { usageError } from './errors.ts'
import { parseCpus, parseMemory, parsePidsLimit } from './limit-flags.ts'

/** The flags of `cromwell run` as given. */
export interface RunFlags {
  detach: boolean
  rm: boolean
  del: boolean
  readOnly: boolean
  containerName: string | undefined
  hostname: string | undefined
  env: readonly string[]
  envFile: readonly string[]
  workdir: string | undefined
  user: string | undefined
  volume: readonly string[]
  entrypoint: string | undefined
  network: string | undefined
  memory: string | undefined
  cpus: string | undefined
  pidsLimit: string | undefined
  pull: string | undefined
  platform: string | undefined
  rootfs: string | undefined
  /** The original's spellings: `-n IMAGE`, `--exec CMD`, `--path ID`. */
  image: string | undefined
  exec: string | undefined
  containerId: string | undefined
  operands: readonly string[]
}

const PULL_POLICIES = ['missing', 'always', 'never'] as const
const NETWORKS = ['host', 'none'] as const

/**
 * What the flags ask of the engine, checked against each other; what each of them says is for the engine
 * to judge. Throws ERR_CLI_USAGE.
 */
export function parseRunFlags(flags: RunFlags, environment: Environment): RunOptions {
  const { source, rest } = imageOrRootfs(flags, environment)
  return {
    ...source,
    ...program(flags, rest),
    env: flags.env,
    envFiles: flags.envFile.map((path) => resolve(environment.currentDirectory, path)),
    volumes: flags.volume,
    workdir: flags.workdir,
    user: flags.user,
    network: oneOf(NETWORKS, flags.network ?? 'host', 'unknown network'),
    name: flags.containerName,
    id: flags.containerId,
    hostname: flags.hostname,
    readOnly: flags.readOnly,
    memoryBytes: flags.memory === undefined ? undefined : parseMemory(flags.memory),
    cpus: flags.cpus === undefined ? undefined : parseCpus(flags.cpus),
    pidsLimit: flags.pidsLimit === undefined ? undefined : parsePidsLimit(flags.pidsLimit),
    removeOnExit: flags.rm || flags.del,
    detached: flags.detach,
    pull: oneOf(PULL_POLICIES, flags.pull ?? 'missing', 'unknown pull policy'),
    platform: flags.platform,
  }
}

/** Where the root comes from, and the operands that are left for the command. */
function imageOrRootfs(
  flags: RunFlags,
  environment: Environment,
): { source: Pick<RunOptions, 'image' | 'rootfs'>; rest: readonly string[] } {
  const { image, rootfs, operands } = flags
  if (rootfs !== undefined) {
    refuseWithRootfs({ '-n': image, '--platform': flags.platform, '--pull': flags.pull })
    return { source: { rootfs: absoluteDirectory(rootfs, environment) }, rest: operands }
  }
  if (image !== undefined) return { source: { image }, rest: operands }
  const [first, ...rest] = operands
  if (first === undefined) {
    throw usageError(
      'cromwell run needs IMAGE',
      'usage: cromwell run [OPTIONS] IMAGE [COMMAND] [ARG...]',
    )
  }
  return { source: { image: first }, rest }
}

function refuseWithRootfs(flags: Record<string, string | undefined>): void {
  for (const [name, value] of Object.entries(flags)) {
    if (value !== undefined) throw usageError(`${name} has no meaning with --rootfs`)
  }
}

function absoluteDirectory(path: string, environment: Environment): string {
  if (path === '') throw usageError('--rootfs needs a directory')
  return resolve(environment.currentDirectory, path)
}

/** `--exec CMD` is the original's: through a shell, whatever the image's entrypoint. */
function program(
  { exec, entrypoint }: RunFlags,
  command: readonly string[],
): Pick<RunOptions, 'entrypoint' | 'command'> {
  if (exec === undefined) {
    return { entrypoint: entrypoint === undefined ? undefined : [entrypoint], command }
  }
  if (entrypoint !== undefined) throw usageError('--exec and --entrypoint exclude each other')
  if (command.length > 0)
    throw usageError(`--exec and a command (${command[0]}) exclude each other`)
  return { entrypoint: ['/bin/sh'], command: ['-c', exec] }
}

function oneOf<T extends string>(allowed: readonly T[], value: string, what: string): T {
  const found = allowed.find((candidate) => candidate === value)
  if (found === undefined) throw usageError(`${what}: ${value}`, `it can be ${allowed.join(', ')}`)
  return found
}
