import { abortedError } from '../abort.ts'
import type { RegistryClient } from '../client/registry-client.ts'
import { isRegistryError } from '../errors.ts'
import { pauseBeforeRetry } from '../http/retry.ts'
import type { Descriptor } from '../image/descriptor.ts'
import type { Reference } from '../image/reference.ts'
import type { BlobIngest } from '../layout/blob-ingest.ts'
import type { ImageLayout } from '../layout/image-layout.ts'
import { type PullListener, progressReporter } from './pull-event.ts'

/** What {@link downloadLayer} works with. */
export interface DownloadContext {
  reference: Reference
  layout: ImageLayout
  client: RegistryClient
  onEvent: PullListener
  signal: AbortSignal
}

/** A connection that carried this much before it broke was good: count attempts anew. */
const GOOD_PROGRESS_BYTES = 1024 * 1024

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
    const inherited = ingest.offset
    try {
      await fill(ingest, layer, context)
    } catch (error) {
      if (inherited === 0 || !isDamage(error)) throw error
      await ingest.restart()
      await fill(ingest, layer, context)
    }
    onEvent({ type: 'layer-done', digest })
  } finally {
    await ingest.close()
  }
}

/** Receive until all is there, however many connections it takes, and commit. */
async function fill(
  ingest: BlobIngest,
  layer: Descriptor,
  context: DownloadContext,
): Promise<void> {
  const { client, onEvent, signal } = context
  const { digest } = layer
  let attempt = 1
  while (ingest.offset < layer.size) {
    const before = ingest.offset
    try {
      await receive(ingest, layer, context)
      if (ingest.offset < layer.size) break
    } catch (error) {
      if (isDamage(error)) await ingest.restart()
      if (ingest.offset - before >= GOOD_PROGRESS_BYTES) attempt = 1
      await pauseBeforeRetry(error, attempt++, {
        policy: client.retryPolicy,
        signal,
        onRetry: ({ error: { message }, ...retry }) =>
          onEvent({ type: 'layer-retry', digest, ...retry, reason: message }),
      })
    }
  }
  onEvent({ type: 'layer-verify', digest })
  await commit(ingest)
}

async function receive(
  ingest: BlobIngest,
  layer: Descriptor,
  { client, reference, onEvent, signal }: DownloadContext,
): Promise<void> {
  const answer = await client.openBlob(reference, layer, { offset: ingest.offset, signal })
  try {
    if (answer.offset !== ingest.offset) await ingest.restart()
    const report = progressReporter(layer, onEvent)
    for await (const chunk of answer.body) {
      if (signal.aborted) throw abortedError(signal)
      await ingest.write(chunk)
      report(ingest.offset)
    }
  } finally {
    answer.cancel()
  }
}

/** Wrong bytes are not kept: the next attempt must not inherit them. */
async function commit(ingest: BlobIngest): Promise<void> {
  try {
    await ingest.commit()
  } catch (error) {
    if (isDamage(error)) await ingest.restart()
    throw error
  }
}

function isDamage(error: unknown): boolean {
  return (
    isRegistryError(error, 'ERR_REGISTRY_DIGEST_MISMATCH') ||
    isRegistryError(error, 'ERR_REGISTRY_SIZE_MISMATCH')
  )
}
