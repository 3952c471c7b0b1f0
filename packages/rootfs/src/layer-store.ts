import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { LayerProgress, LayerResult } from './apply-layer.ts'
import type { ApplyJob } from './apply-layer-file.ts'
import { buildLayer, sweep } from './build-layer.ts'
import { chainIds } from './chain-id.ts'
import { RootfsError } from './errors.ts'
import type { Limits } from './limits.ts'
import type { Ownership } from './metadata.ts'
import type { NativeFs } from './native-fs.ts'

/** A layer of an image in the local store of blobs. */
export interface LayerSource {
  digest: string
  diffId: string
  mediaType: string
  /** Bytes, compressed. */
  size: number
  /** The blob's file. */
  path: string
}

/** What {@link LayerStore.ensure} reports; `digest` is the layer's. */
export type LayerEvent =
  | { type: 'layer-present'; digest: string }
  /** Another process is unpacking it. */
  | { type: 'layer-waiting'; digest: string; pid: number }
  | { type: 'layer-unpacking'; digest: string; size: number }
  | ({ type: 'layer-unpack-progress'; digest: string; size: number } & LayerProgress)
  | { type: 'layer-unpacked'; digest: string; result: LayerResult }
  /** Something half-made by a process that died could not be removed. */
  | { type: 'leftover'; path: string; reason: string }

/** How {@link LayerStore.ensure} works. */
export interface EnsureOptions {
  /** Which ids the files have on disk, e.g. `identity`, `single`, `subid-100000-65536`: another mapping is another directory. */
  mappingKey: string
  /** Does the unpacking, for instance in a worker inside the user namespace. Default: in this process. */
  apply?: (job: ApplyJob) => Promise<LayerResult>
  /** For the default `apply`: `preserve` for root, else `squash`. */
  ownership?: Ownership
  /** For the default `apply`. */
  limits?: Partial<Limits>
  /** Removes what a dead process left, where that needs the user namespace too. Default: {@link removeTree}. */
  remove?: (path: string) => Promise<void>
  /** `syncfs` makes a finished layer survive a power loss; the default `apply` uses the rest. */
  native?: NativeFs
  signal?: AbortSignal
  onEvent?: (event: LayerEvent) => void
}

/** Unpacked layers in one directory, each unpacked once. */
export interface LayerStore {
  readonly directory: string
  /**
   * Unpack those of `layers` (base first) that are not there yet; return their directories, base first, for
   * overlayfs. Safe against other processes doing the same, and against being killed at any instant.
   * Throws `RootfsError`, and the signal's reason.
   */
  ensure(layers: readonly LayerSource[], options: EnsureOptions): Promise<string[]>
  /** The directories that `ensure` would return, if all are there; costs one look at each. */
  find(layers: readonly LayerSource[], mappingKey: string): string[] | undefined
  /** Remove what processes that died left half-made. `ensure` does so itself before it unpacks. */
  sweep(options?: Pick<EnsureOptions, 'remove' | 'onEvent'>): Promise<void>
}

/** Open a store of unpacked layers. The directory is made (0700) when it is first needed. */
export function openLayerStore(directory: string): LayerStore {
  return {
    directory,
    find: (layers, mappingKey) => {
      const places = placesOf(directory, layers, mappingKey)
      return places.every((place) => existsSync(place)) ? places.map(toLowerDir) : undefined
    },
    ensure: (layers, options) => ensureLayers(directory, layers, options),
    sweep: (options = {}) => sweep(directory, options),
  }
}

async function ensureLayers(
  directory: string,
  layers: readonly LayerSource[],
  options: EnsureOptions,
): Promise<string[]> {
  const places = placesOf(directory, layers, options.mappingKey)
  const lowerDirs: string[] = []
  for (const [index, layer] of layers.entries()) {
    options.signal?.throwIfAborted()
    const place = places[index] ?? ''
    if (existsSync(place)) options.onEvent?.({ type: 'layer-present', digest: layer.digest })
    else await buildLayer({ directory, place, layer, lowerDirs: [...lowerDirs] }, options)
    lowerDirs.push(toLowerDir(place))
  }
  return lowerDirs
}

function placesOf(directory: string, layers: readonly LayerSource[], mappingKey: string): string[] {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(mappingKey)) {
    throw new TypeError(`not a mapping key: ${JSON.stringify(mappingKey)}`)
  }
  for (const { diffId } of layers) {
    if (/^sha256:[0-9a-f]{64}$/.test(diffId)) continue
    throw new RootfsError(
      'ERR_ROOTFS_UNSUPPORTED',
      `cannot store a layer with the diffID ${JSON.stringify(diffId)}: only sha256 is supported`,
    )
  }
  const ids = chainIds(layers.map((layer) => layer.diffId))
  return ids.map((id) => join(directory, `${id.slice('sha256:'.length)}-${mappingKey}`))
}

function toLowerDir(place: string): string {
  return join(place, 'fs')
}
