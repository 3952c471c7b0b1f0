import type { RegistryClient } from '../client/registry-client.ts'
import type { Descriptor } from '../image/descriptor.ts'
import type { Reference } from '../image/reference.ts'
import type { ImageLayout } from '../layout/image-layout.ts'
import { downloadLayer } from './download.ts'
import type { PullListener } from './pull-event.ts'

interface LayersContext {
  reference: Reference
  layout: ImageLayout
  client: RegistryClient
  onEvent: PullListener
  concurrency?: number | undefined
  signal?: AbortSignal | undefined
}

/** For one layer: each keeps up to 8 MiB in memory. */
const MAX_CONNECTIONS = 4

/**
 * Bring the layers that are missing into the layout, several at a time.
 *
 * The first failure stops the others, which keep what they have, and is thrown once all have stopped.
 * Returns how many were missing.
 */
export async function downloadLayers(
  layers: Descriptor[],
  context: LayersContext,
): Promise<number> {
  const { concurrency = 3, signal } = context
  const failure = new AbortController()
  const signals = signal === undefined ? [failure.signal] : [signal, failure.signal]
  const inner = { ...context, signal: AbortSignal.any(signals) }
  const queue = await findMissing(layers, context)
  const missing = queue.length
  let active = 0
  // The connections of layers that are there already are free for those that are not.
  const connections = () => Math.min(MAX_CONNECTIONS, Math.floor(concurrency / Math.max(1, active)))
  for (const { digest, size } of queue.slice(concurrency)) {
    context.onEvent({ type: 'layer-waiting', digest, size })
  }

  async function work(): Promise<void> {
    try {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        active += 1
        await downloadLayer(next, { ...inner, connections })
        active -= 1
      }
    } catch (error) {
      failure.abort(error) // only the first call has an effect
    }
  }

  await Promise.all(Array.from({ length: Math.max(1, concurrency) }, work))
  failure.signal.throwIfAborted()
  return missing
}

/** Manifests may name a layer twice; it is fetched once. */
async function findMissing(
  layers: Descriptor[],
  { layout, onEvent }: LayersContext,
): Promise<Descriptor[]> {
  const missing: Descriptor[] = []
  for (const layer of new Map(layers.map((entry) => [entry.digest, entry])).values()) {
    const { digest, size } = layer
    if (await layout.has(layer)) onEvent({ type: 'layer-exists', digest, size })
    else missing.push(layer)
  }
  return missing
}
