import { realpathSync, statSync } from 'node:fs'
import type { ImageConfig } from '@cromwell/registry'
import { readFileFromLayers } from '@cromwell/rootfs'
import { type ComposedRoot, composeRoot } from './composed-root.ts'
import type { EngineContext } from './context.ts'
import { EngineError } from './errors.ts'
import { getImage } from './image.ts'
import { ensureLayers } from './layers.ts'
import { mountPointsBelow } from './mount-table.ts'
import type { RunOptions } from './run-options.ts'
import { systemReason } from './system-reason.ts'
import type { ReadImageFile } from './user.ts'

/** What a container's root is made from. */
export interface RootSource {
  /** Familiar name of the image, or the directory. */
  name: string
  /** Digest of the image's configuration; a directory has none. */
  imageId: string | undefined
  /** How the image wants to be run. */
  config: NonNullable<ImageConfig['config']>
  /** What the overlay lies on, base first. */
  lowerDirs: string[]
  /** Set for a directory in which other file systems are mounted, which no overlay can lie on. */
  composed?: ComposedRoot
}

/** Find, pull and unpack what `options` names. Throws EngineError, RegistryError, RootfsError. */
export async function openRootSource(
  context: EngineContext,
  options: RunOptions,
): Promise<RootSource> {
  const { image: name, rootfs, signal } = options
  if (name === undefined) return directorySource(rootfs ?? '/')
  const { pull: policy = 'missing', platform } = options
  const image = await getImage(context, name, { policy, platform, signal })
  return {
    name: image.name,
    imageId: image.configDigest,
    config: image.config.config ?? {},
    lowerDirs: await ensureLayers(context, image, signal),
  }
}

/** Reads small files of the root as the container will see them. */
export function imageFileReader({ lowerDirs }: RootSource): ReadImageFile {
  return (path) => readFileFromLayers(lowerDirs, path)?.toString('utf8')
}

function directorySource(path: string): RootSource {
  let why: string
  try {
    if (statSync(path).isDirectory()) return describeDirectory(path)
    why = 'it is not a directory'
  } catch (cause) {
    if (cause instanceof EngineError) throw cause
    why = systemReason(cause)
  }
  throw new EngineError('ERR_ENGINE_ROOTFS', `cannot run on ${path}: ${why}`, { path })
}

function describeDirectory(name: string): RootSource {
  const path = realpathSync(name)
  const mountPoints = mountPointsBelow(path)
  const composed = mountPoints.length === 0 ? {} : { composed: composeRoot(path, mountPoints) }
  return { name, imageId: undefined, config: {}, lowerDirs: [path], ...composed }
}
