import type { StoredImage } from '@cromwell/registry'
import {
  type ApplyJob,
  type LayerEvent,
  type LayerResult,
  type LayerSource,
  openLayerStore,
} from '@cromwell/rootfs'
import type { EngineContext } from './context.ts'
import { createTreeRemover } from './remove-tree.ts'
import type { UnpackProcess } from './unpack-process.ts'

/** Whose the files of a layer become: the image's owners where there are ids for them. */
export function ownershipFor({ idMapping }: EngineContext): 'preserve' | 'squash' {
  return idMapping().kind === 'single' ? 'squash' : 'preserve'
}

/**
 * The directories of an image's layers, base first; those that are not there are unpacked, by a
 * process that has the ids of the containers. Throws RootfsError, EngineError ERR_ENGINE_WORKER.
 */
export async function ensureLayers(
  context: EngineContext,
  image: StoredImage,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const store = openLayerStore(context.home.layers)
  const mapping = context.idMapping()
  const sources = image.layers.map(({ digest, diffId, mediaType, size }): LayerSource => {
    return { digest, diffId, mediaType, size, path: context.layout.blobPath(digest) }
  })
  const found = store.find(sources, mapping.key)
  if (found !== undefined) return found

  const { startUnpackProcess } = await import('./unpack-process.ts')
  const { nativeFs } = await import('@cromwell/ns-native')
  const worker = await startUnpackProcess(mapping)
  try {
    return await store.ensure(sources, {
      mappingKey: mapping.key,
      native: nativeFs,
      apply: (job) => applyIn(worker, job, ownershipFor(context)),
      // Not by the worker: an abort kills it, and what it has half done is to be removed all the same.
      remove: createTreeRemover(context.idMapping),
      ...(signal === undefined ? {} : { signal }),
      onEvent: (event) => report(context, event),
    })
  } finally {
    await worker.close()
  }
}

async function applyIn(
  worker: UnpackProcess,
  { signal, onProgress, ...job }: ApplyJob,
  ownership: 'preserve' | 'squash',
): Promise<LayerResult> {
  const result = await worker.perform({ kind: 'apply', ownership, ...job }, { signal, onProgress })
  return result as LayerResult // what the worker answers to `apply`
}

function report({ onEvent }: EngineContext, event: LayerEvent): void {
  switch (event.type) {
    case 'layer-unpacking':
      onEvent({ type: 'unpack-start', digest: event.digest, size: event.size })
      break
    case 'layer-unpack-progress': {
      const { digest, size, readBytes } = event
      onEvent({ type: 'unpack-progress', digest, bytes: readBytes, size })
      break
    }
    case 'layer-unpacked':
      onEvent({ type: 'unpack-done', digest: event.digest })
      reportSkipped(onEvent, event.result)
      break
    case 'leftover':
      onEvent({
        type: 'warning',
        code: 'leftover',
        message: `cannot remove ${event.path}, which a crash left: ${event.reason}`,
      })
      break
    case 'layer-present':
    case 'layer-waiting':
      break
  }
}

/** Device nodes of an image never work, wherever it runs: a container's devices are those of its own /dev. */
function reportSkipped(onEvent: EngineContext['onEvent'], { skipped }: LayerResult): void {
  const missed = skipped.filter(({ what }) => what !== 'device')
  const [first] = missed
  if (first === undefined) return
  onEvent({
    type: 'warning',
    code: 'skipped-entries',
    message: `${missed.length} entries of the image cannot be made by this user, such as ${first.entry} (${first.detail})`,
  })
}
