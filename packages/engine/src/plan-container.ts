import type { ResourcesConfig } from '@cromwell/runtime'
import { ANNOTATIONS } from './annotations.ts'
import type { BundleOptions } from './bundle.ts'
import { hasCgroup2 } from './cgroup.ts'
import { createContainerId, shortId } from './container-id.ts'
import type { EngineContext } from './context.ts'
import { readEnvFile } from './env-file.ts'
import type { Network } from './etc-files.ts'
import { findMappedUser } from './mapped-user.ts'
import { commandLine, environment } from './process-config.ts'
import { imageFileReader, type RootSource } from './root-source.ts'
import type { RunOptions } from './run-options.ts'
import { parseVolume } from './volume.ts'

/** A container on paper: all that options, image and host decide together. */
export interface ContainerPlan {
  id: string
  /** Familiar name of the image, or the root directory. */
  image: string
  hostname: string
  network: Network
  annotations: Record<string, string>
  bundle: Omit<BundleOptions, 'etcFiles' | 'rootMounts'>
}

/**
 * Decide everything about a container before anything of it exists.
 * Throws EngineError for what the options ask for and cannot be had.
 */
export function planContainer(
  context: EngineContext,
  options: RunOptions,
  source: RootSource,
): ContainerPlan {
  const id = options.id ?? createContainerId()
  const hostname = options.hostname ?? shortId(id)
  const network = options.network ?? 'host'
  const args = commandLine(source.config, options)
  const annotations = annotate(source, args)
  const { user, idMapping } = findMappedUser(
    options.user ?? source.config.User ?? '',
    imageFileReader(source),
    context.idMapping(),
  )
  return {
    id,
    image: source.name,
    hostname,
    network,
    annotations,
    bundle: {
      args,
      env: environment({
        image: source.config.Env ?? [],
        options: [...(options.envFiles ?? []).flatMap(readEnvFile), ...(options.env ?? [])],
        host: context.host.env,
        hostname,
        terminal: options.terminal !== undefined,
        homeDirectory: user.home,
      }),
      cwd: workingDirectory(options, source),
      user,
      terminal: options.terminal,
      hostname,
      network,
      readOnly: options.readOnly ?? false,
      resources: resourcesOf(options),
      volumes: (options.volumes ?? []).map((text) => parseVolume(text, context.host.cwd)),
      idMapping,
      cgroup2: hasCgroup2(),
      annotations,
    },
  }
}

const CPU_PERIOD_MICROS = 100_000

function resourcesOf({ memoryBytes, cpus, pidsLimit }: RunOptions): ResourcesConfig {
  return {
    ...(memoryBytes === undefined ? {} : { memory: { limit: memoryBytes } }),
    ...(cpus === undefined
      ? {}
      : { cpu: { quota: Math.round(cpus * CPU_PERIOD_MICROS), period: CPU_PERIOD_MICROS } }),
    ...(pidsLimit === undefined ? {} : { pids: { limit: pidsLimit } }),
  }
}

function workingDirectory({ workdir }: RunOptions, { config }: RootSource): string {
  const directory = workdir ?? (config.WorkingDir || '/')
  return directory.startsWith('/') ? directory : `/${directory}`
}

function annotate({ name, imageId, config }: RootSource, args: string[]): Record<string, string> {
  return {
    [ANNOTATIONS.image]: name,
    ...(imageId === undefined ? {} : { [ANNOTATIONS.imageId]: imageId }),
    [ANNOTATIONS.command]: JSON.stringify(args),
    ...(config.StopSignal ? { [ANNOTATIONS.stopSignal]: config.StopSignal } : {}),
  }
}
