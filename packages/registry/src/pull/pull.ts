import { isForeign } from '../client/foreign-blob.ts'
import type { CallOptions, RegistryClient } from '../client/registry-client.ts'
import { RegistryError } from '../errors.ts'
import type { Retry } from '../http/retry.ts'
import type { Descriptor } from '../image/descriptor.ts'
import { hostPlatform } from '../image/host-platform.ts'
import type { ImageManifest } from '../image/manifest.ts'
import {
  formatPlatform,
  isSamePlatform,
  matchesPlatform,
  noPlatform,
  type Platform,
} from '../image/platform.ts'
import { familiarName, parseReference, type Reference } from '../image/reference.ts'
import type { ImageLayout } from '../layout/image-layout.ts'
import { assembleImage, platformOf, type StoredImage } from '../layout/stored-image.ts'
import { createTask, type Task } from '../task.ts'
import { traced } from '../tracing.ts'
import { downloadLayers } from './download-layers.ts'
import { type PullEvent, type PullListener, type PullStatus, pullTopic } from './pull-event.ts'
import { type ResolvedImage, resolveImage, toOciManifest } from './resolve.ts'

/** Options of {@link pull}. */
export interface PullOptions {
  client: RegistryClient
  /** Default: this machine's. */
  platform?: Platform | undefined
  /** Layers downloaded at the same time. Default 3. */
  concurrency?: number | undefined
  /**
   * What becomes of layers that their publisher keeps on servers of its own (`urls`), if the registry
   * does not have them: they are fetched from there without credentials, or left out, and then missing
   * in the layout. Default `fetch`.
   */
  foreignLayers?: 'fetch' | 'skip' | undefined
  /** Bytes that a layer, and all layers together, may have. Default 16 GiB and 64 GiB. */
  limits?: { layerBytes?: number; totalBytes?: number } | undefined
  signal?: AbortSignal | undefined
  /** Called synchronously, for who prefers it to iterating the task. */
  onEvent?: PullListener | undefined
}

/** What {@link pull} returns. */
export interface PullResult {
  image: StoredImage
  /** `up-to-date` if the image was there already, complete. */
  status: PullStatus
}

const GIB = 1024 ** 3
const MAX_LAYER_BYTES = 16 * GIB
const MAX_TOTAL_BYTES = 64 * GIB

interface Context extends PullOptions {
  reference: Reference
  layout: ImageLayout
  onEvent: PullListener
}

/**
 * Bring an image into a layout and give it its name there.
 *
 * Only what is missing is fetched: nothing at all if the registry says that the name still stands for
 * what is stored. The name is set last, so that it never stands for half an image. Throws
 * {@link RegistryError}; what was downloaded by then is kept and the next pull goes on from it.
 */
export function pull(
  reference: Reference | string,
  layout: ImageLayout,
  options: PullOptions,
): Task<PullResult, PullEvent> {
  return createTask(
    async (emit) => {
      const onEvent: PullListener = (event) => {
        options.onEvent?.(event)
        emit(event)
      }
      const parsed = typeof reference === 'string' ? parseReference(reference) : reference
      const describe = () => ({ reference: familiarName(parsed) })
      return traced('pull', describe, async (trace) => {
        const result = await pullImage({ ...options, reference: parsed, layout, onEvent })
        const { image, status } = result
        if (trace !== undefined) Object.assign(trace, { digest: image.resolvedDigest, status })
        return result
      })
    },
    { topicOf: pullTopic },
  )
}

async function pullImage(context: Context): Promise<PullResult> {
  const { reference, layout, onEvent } = context
  onEvent({ type: 'resolve', reference: familiarName(reference) })
  const stored = await layout.find(reference)
  const result =
    stored !== undefined && (await isCurrent(stored, context))
      ? { image: await keep(stored, context), status: 'up-to-date' as const }
      : await download(stored, context)
  onEvent({ type: 'done', digest: result.image.resolvedDigest, status: result.status })
  return result
}

/** Whether the stored image is complete and still what the name stands for. */
async function isCurrent(stored: StoredImage, context: Context): Promise<boolean> {
  const { reference, layout, client, platform = hostPlatform() } = context
  if (!isSamePlatform(platform, platformOf(stored))) return false
  for (const layer of stored.layers) {
    if (!(await layout.has(layer)) && !isSkipped(layer, context)) return false
  }
  const wanted = reference.digest ?? (await client.head(reference, callOptions(context))).digest
  return wanted === stored.resolvedDigest || wanted === stored.manifest.digest
}

/** A digest may have been found under another name, which may go its own way later. */
async function keep(stored: StoredImage, context: Context): Promise<StoredImage> {
  const names = (await context.layout.list()).map(({ name }) => name)
  if (!names.includes(stored.name)) await setName(stored, context)
  return stored
}

async function setName(image: StoredImage, { reference, layout, signal }: Context): Promise<void> {
  const { manifest, resolvedDigest } = image
  await layout.tag(reference, manifest, { resolvedDigest, signal })
}

async function download(before: StoredImage | undefined, context: Context): Promise<PullResult> {
  const { reference, layout, client, platform = hostPlatform(), signal } = context
  await layout.sweep()
  const call = callOptions(context)
  const found = await resolveImage(client, reference, platform, call)
  announce(found, platform, context)
  announceLimit(context)
  checkSizes(found, context)
  // What is there already stays there, whoever removes other names meanwhile.
  const lease = await layout.lease({ signal })
  try {
    const { manifest, descriptor } = toOciManifest(found)
    await lease.protect([descriptor, manifest.config, ...manifest.layers])
    return await fetchMissing(found, before, context)
  } finally {
    await lease.release()
  }
}

async function fetchMissing(
  found: ResolvedImage,
  before: StoredImage | undefined,
  context: Context,
): Promise<PullResult> {
  const { reference, layout, client } = context
  const { config, layers } = found.manifest
  const configBytes =
    (await layout.read(config)) ?? (await client.readBlob(reference, config, callOptions(context)))
  const image = assembleImage({ ...toOciManifest(found), reference, configBytes })
  checkPlatform(image, context)
  const wanted = layers.filter((layer) => !isSkipped(layer, context))
  const fetched = await downloadLayers(wanted, context)
  const stored = await store(image, { ...toOciManifest(found), configBytes }, context)
  const changed = before?.manifest.digest !== stored.manifest.digest || fetched > 0
  return { image: stored, status: changed ? 'downloaded' : 'up-to-date' }
}

/** Everything below a name first, the name last. */
async function store(
  image: StoredImage,
  documents: { manifest: ImageManifest; bytes: Uint8Array; configBytes: Uint8Array },
  context: Context,
): Promise<StoredImage> {
  const { layout } = context
  const manifest = { ...image.manifest, platform: platformOf(image) }
  await layout.write(documents.manifest.config, documents.configBytes)
  await layout.write(manifest, documents.bytes)
  const stored = { ...image, manifest }
  await setName(stored, context)
  return stored
}

function announce(found: ResolvedImage, platform: Platform, { onEvent }: Context): void {
  const { descriptor, manifest } = found
  const { digest, mediaType } = descriptor
  const { layers } = manifest
  onEvent({
    type: 'resolved',
    digest,
    mediaType,
    platform: descriptor.platform ?? platform,
    layers,
  })
}

function announceLimit({ client, reference, onEvent }: Context): void {
  const limit = client.rateLimit(reference.registry)
  if (limit !== undefined) onEvent({ type: 'rate-limit', ...limit })
}

/** Whether the layer is none of the registry's, and the caller does not want it from elsewhere. */
function isSkipped(layer: Descriptor, { foreignLayers }: Context): boolean {
  return foreignLayers === 'skip' && isForeign(layer)
}

function checkSizes({ manifest }: ResolvedImage, { reference, limits = {} }: Context): void {
  const { layerBytes = MAX_LAYER_BYTES, totalBytes = MAX_TOTAL_BYTES } = limits
  let total = 0
  for (const { digest, size } of manifest.layers) {
    total += size
    if (size > layerBytes) throw tooLarge(`layer ${digest} of`, size, layerBytes, reference)
  }
  if (total > totalBytes) throw tooLarge('the image', total, totalBytes, reference)
}

function tooLarge(what: string, size: number, limit: number, reference: Reference): RegistryError {
  const name = familiarName(reference)
  const message = `${what} ${name} is too large: ${size} bytes, where ${limit} are allowed`
  return new RegistryError('ERR_REGISTRY_TOO_LARGE', message, {
    reference: name,
    expected: `at most ${limit}`,
    actual: String(size),
    hint: 'raise the limit if the image is to be trusted',
  })
}

/** An image without an index is for one platform; another one was perhaps asked for by mistake. */
function checkPlatform(image: StoredImage, { platform, onEvent }: Context): void {
  const wanted = platform ?? hostPlatform()
  const { config, manifest, name } = image
  if (manifest.platform !== undefined || config.architecture === '') return
  if (matchesPlatform(wanted, config)) return
  if (platform !== undefined) throw noPlatform(name, platform, [{ platform: platformOf(image) }])
  const [has, here] = [formatPlatform(config), formatPlatform(wanted)]
  onEvent({ type: 'warning', message: `${name} is for ${has} and this machine is ${here}` })
}

function callOptions({ signal, onEvent }: Context): CallOptions {
  const onRetry = ({ error, ...retry }: Retry) =>
    onEvent({ type: 'retry', ...retry, reason: error.message })
  return { signal, onRetry }
}
