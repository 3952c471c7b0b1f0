import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LayerResult } from './apply-layer.ts'
import { type ApplyJob, applyLayerFile } from './apply-layer-file.ts'
import { errnoOf, RootfsError } from './errors.ts'
import type { EnsureOptions, LayerSource } from './layer-store.ts'
import { removeTree } from './remove-tree.ts'
import {
  abandon,
  createStaging,
  isAbandoned,
  listAbandoned,
  listStagings,
  type Staging,
} from './staging.ts'

/** One layer that is to be built. */
export interface LayerPlan {
  /** The store. */
  directory: string
  /** Where the layer will stand. */
  place: string
  layer: LayerSource
  lowerDirs: string[]
}

/** How often to look whether another builder has finished. */
const POLL_MS = 50

/**
 * Build a layer, or wait for whoever is already building it. A layer is complete exactly when it stands
 * under its final name: it is filled beside it, synced and renamed. The right to build belongs to the
 * oldest staging directory whose process lives; should two build all the same, the first rename wins.
 */
export async function buildLayer(plan: LayerPlan, options: EnsureOptions): Promise<void> {
  mkdirSync(plan.directory, { recursive: true, mode: 0o700 })
  while (!existsSync(plan.place)) {
    await sweep(plan.directory, options)
    const staging = createStaging(plan.directory, basename(plan.place))
    const older = olderBuilder(plan.directory, staging)
    try {
      if (older === undefined && !existsSync(plan.place)) await fill(plan, staging, options)
    } finally {
      await discard(plan.directory, staging, options)
    }
    if (older !== undefined) await waitFor(plan, older, options)
  }
}

/** Remove what dead builders left. What cannot be removed is reported and left for next time. */
export async function sweep(
  directory: string,
  options: Pick<EnsureOptions, 'remove' | 'onEvent'>,
): Promise<void> {
  for (const path of listAbandoned(directory)) await removeLeftover(path, options)
}

async function fill(plan: LayerPlan, staging: Staging, options: EnsureOptions): Promise<void> {
  const { layer, lowerDirs } = plan
  const { onEvent, native, signal } = options
  const tree = join(staging.path, 'fs')
  mkdirSync(tree, { mode: 0o700 })
  onEvent?.({ type: 'layer-unpacking', digest: layer.digest, size: layer.size })
  const result = await (options.apply ?? applyHere(options))({
    path: layer.path,
    directory: tree,
    lowerDirs,
    expectDiffId: layer.diffId,
    ...(signal === undefined ? {} : { signal }),
    onProgress: (progress) => {
      onEvent?.({
        type: 'layer-unpack-progress',
        digest: layer.digest,
        size: layer.size,
        ...progress,
      })
    },
  })
  signal?.throwIfAborted()
  writeRecord(staging, layer, result)
  native?.syncfs(staging.path)
  publish(plan, staging)
  onEvent?.({ type: 'layer-unpacked', digest: layer.digest, result })
}

function applyHere(options: EnsureOptions): (job: ApplyJob) => Promise<LayerResult> {
  const { native, limits } = options
  const ownership = options.ownership ?? (process.geteuid?.() === 0 ? 'preserve' : 'squash')
  return (job) =>
    applyLayerFile(job, {
      ownership,
      ...(native === undefined ? {} : { native }),
      ...(limits === undefined ? {} : { limits }),
    })
}

function writeRecord(staging: Staging, layer: LayerSource, result: LayerResult): void {
  if (result.diffId !== layer.diffId) {
    throw new RootfsError(
      'ERR_ROOTFS_DIFFID',
      `cannot use the layer: its content is ${result.diffId}, but the image says ${layer.diffId}`,
    )
  }
  const { digest, mediaType, size } = layer
  const record = { schemaVersion: 1, digest, mediaType, size, ...result }
  const file = join(staging.path, 'layer.json')
  writeFileSync(file, `${JSON.stringify(record, undefined, 2)}\n`, { mode: 0o600, flag: 'wx' })
  sync(file)
}

function publish(plan: LayerPlan, staging: Staging): void {
  try {
    renameSync(staging.path, plan.place)
  } catch (error) {
    const code = errnoOf(error)
    if (code === 'EEXIST' || code === 'ENOTEMPTY') return // somebody was faster
    throw error
  }
  sync(plan.directory)
}

function sync(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

function olderBuilder(directory: string, own: Staging): Staging | undefined {
  return listStagings(directory).find(
    (other) => other.target === own.target && other.name < own.name && !isAbandoned(other),
  )
}

async function waitFor(plan: LayerPlan, builder: Staging, options: EnsureOptions): Promise<void> {
  const { signal, onEvent } = options
  onEvent?.({ type: 'layer-waiting', digest: plan.layer.digest, pid: builder.builder.pid })
  while (existsSync(builder.path) && !existsSync(plan.place) && !isAbandoned(builder)) {
    await sleep(POLL_MS)
    signal?.throwIfAborted()
  }
}

async function discard(directory: string, staging: Staging, options: EnsureOptions): Promise<void> {
  const path = abandon(directory, staging)
  if (path !== undefined) await removeLeftover(path, options)
}

async function removeLeftover(
  path: string,
  { remove, onEvent }: Pick<EnsureOptions, 'remove' | 'onEvent'>,
): Promise<void> {
  try {
    await (remove ?? removeTree)(path)
  } catch (error) {
    onEvent?.({
      type: 'leftover',
      path,
      reason: error instanceof Error ? error.message : String(error),
    })
  }
}
