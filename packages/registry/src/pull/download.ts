import type { RegistryClient } from '../client/registry-client.ts'
import type { Retry } from '../http/retry.ts'
import type { Descriptor } from '../image/descriptor.ts'
import { isDamage } from '../image/digest.ts'
import { familiarName, type Reference } from '../image/reference.ts'
import type { BlobIngest } from '../layout/blob-ingest.ts'
import type { ImageLayout } from '../layout/image-layout.ts'
import { throttled } from '../progress.ts'
import { traced } from '../tracing.ts'
import type { PullListener } from './pull-event.ts'

/** What {@link downloadLayer} works with. */
export interface DownloadContext {
  reference: Reference
  layout: ImageLayout
  client: RegistryClient
  onEvent: PullListener
  /** How many connections the layer may have at this moment. */
  connections: () => number
  signal: AbortSignal
}

/**
 * Bring one layer into the layout.
 *
 * A broken transfer goes on where it stopped, in this call and in a later one. Damage in the bytes that
 * an earlier run left is repaired by one fresh download; other damage is thrown.
 */
export async function downloadLayer(layer: Descriptor, context: DownloadContext): Promise<void> {
  const { digest, size } = layer
  const { layout, onEvent, signal } = context
  const ingest = await layout.ingest(layer, signal)
  if (ingest === undefined) return onEvent({ type: 'layer-exists', digest, size })
  try {
    onEvent({ type: 'layer-start', digest, size, offset: ingest.offset })
    const describe = () => ({
      reference: familiarName(context.reference),
      digest,
      size,
      offset: ingest.offset,
    })
    await traced('blob', describe, () => fillOrRepair(ingest, layer, context))
    onEvent({ type: 'layer-done', digest })
  } finally {
    await ingest.close()
  }
}

async function fillOrRepair(
  ingest: BlobIngest,
  layer: Descriptor,
  context: DownloadContext,
): Promise<void> {
  const inherited = ingest.offset
  try {
    await fill(ingest, layer, context)
  } catch (error) {
    if (inherited === 0 || !isDamage(error)) throw error
    await fill(ingest, layer, context)
  }
}

/** Receive until all is there and commit. Wrong bytes are not kept: the next attempt must not inherit them. */
async function fill(
  ingest: BlobIngest,
  layer: Descriptor,
  context: DownloadContext,
): Promise<void> {
  const { client, reference, connections, onEvent, signal } = context
  const { digest, size } = layer
  const onRetry = ({ error, ...retry }: Retry) =>
    onEvent({ type: 'layer-retry', digest, ...retry, reason: error.message })
  const report = throttled(size, (received) =>
    onEvent({ type: 'layer-progress', digest, received, size }),
  )
  try {
    const source = client.blobSource(reference, layer, { connections, onRetry })
    for await (const chunk of source.open(ingest.offset, signal)) {
      await ingest.write(chunk)
      report(ingest.offset)
    }
    onEvent({ type: 'layer-verify', digest })
    await ingest.commit()
  } catch (error) {
    if (isDamage(error)) await ingest.restart()
    throw error
  }
}
