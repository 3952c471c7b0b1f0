import { RegistryError } from '../errors.ts'
import type { Descriptor } from '../image/descriptor.ts'
import type { Platform } from '../image/platform.ts'
import { familiarName } from '../image/reference.ts'
import type { ContentName, ContentSource, ContentTarget } from '../store/content-store.ts'
import { notStored } from '../store/documents.ts'
import { createTask, type Task } from '../task.ts'
import { choosePlatform, choosePlatforms, type ReadDocument } from './choose-platforms.ts'
import { type CopyEvent, type CopyListener, copyTopic } from './copy-event.ts'
import { type DigestTag, findDigestTags, nameBeside } from './digest-tags.ts'
import { createLimiter } from './limiter.ts'
import { type PlanContext, planDocuments } from './plan.ts'
import { type TransferCount, transfer } from './transfer.ts'

/** Where {@link copy} reads. */
export interface CopySource {
  store: ContentSource
  name: ContentName
}

/** Where {@link copy} writes. */
export interface CopyTarget {
  store: ContentTarget
  /** Default: none, the content is then found by its digest. */
  name?: ContentName | undefined
}

/** Options of {@link copy}. */
export interface CopyOptions {
  /** Only the manifest for this platform, without an index around it. */
  platform?: Platform | undefined
  /** Of an index only what is for these platforms; the index is then another one, unless these are all. */
  platforms?: readonly Platform[] | undefined
  /** Whether to copy what is about the content (signatures, SBOMs), and about that in turn. Default false. */
  referrers?: boolean | undefined
  /** Whether to copy tags such as `sha256-….sig`, which older tools use for the same. Default false. */
  digestTags?: boolean | undefined
  /** Blobs at a time. Default 4. */
  concurrency?: number | undefined
  /** Bytes that a blob, and all blobs together, may have. Default 16 GiB and 64 GiB. */
  limits?: { blobBytes?: number; totalBytes?: number } | undefined
  signal?: AbortSignal | undefined
  /** Called synchronously, for who prefers it to iterating the task. */
  onEvent?: CopyListener | undefined
}

/** What {@link copy} returns. */
export interface CopyResult {
  /** What the name at the target stands for now. */
  descriptor: Descriptor
  /** Whether that is exactly what the name at the source stands for. */
  unchanged: boolean
  /** By how they came; blobs below a manifest that a registry had already are not counted. */
  transferred: TransferCount
  /** Tags that were copied along by `digestTags`. */
  digestTags: string[]
}

const GIB = 1024 ** 3

/**
 * Copy what a name stands for from any store to any other, with everything that belongs to it.
 *
 * Bytes and digests stay as they are; only an index that loses platforms becomes another one. Each blob
 * moves once, and only if it is not there: within one registry it is mounted. Everything is verified where
 * it arrives. What a document refers to comes before the document, and the name last, so that the
 * target never names half an image; after a failure the next copy goes on from what is there.
 * From registry to registry nothing touches the disk. Throws {@link RegistryError}.
 */
export function copy(
  source: CopySource,
  target: CopyTarget,
  options: CopyOptions = {},
): Task<CopyResult, CopyEvent> {
  return createTask(
    (emit) => {
      const onEvent: CopyListener = (event) => {
        options.onEvent?.(event)
        emit(event)
      }
      return run(source, target, { ...options, onEvent })
    },
    { topicOf: copyTopic },
  )
}

type RunOptions = CopyOptions & { onEvent: CopyListener }

async function run(
  source: CopySource,
  target: CopyTarget,
  options: RunOptions,
): Promise<CopyResult> {
  const failure = new AbortController()
  const { signal: outer, concurrency: wanted = 4, onEvent } = options
  const signal = outer === undefined ? failure.signal : AbortSignal.any([outer, failure.signal])
  const concurrency = Math.max(1, Math.min(wanted, target.store.maxConcurrency ?? wanted))
  const lease = await target.store.lease?.({ signal })
  try {
    const original = await readRoot(source, signal)
    onEvent({ type: 'resolved', descriptor: original.descriptor })
    const root = await choose(original, source, options, signal)
    const plan: PlanContext = {
      source: source.store,
      limit: createLimiter(Math.max(wanted, 1)),
      referrers: options.referrers ?? false,
      documents: new Map(),
      spent: { bytes: 0 },
      signal,
      onEvent,
    }
    await planDocuments(root, plan)
    const digestTags = options.digestTags ? await planDigestTags(source, plan) : []
    const documents = [...plan.documents.values()]
    const blobs = uniqueBlobs(documents.flatMap((document) => document.blobs))
    checkSizes(blobs, options)
    const bytes = blobs.reduce((total, { size }) => total + size, 0)
    onEvent({ type: 'planned', documents: documents.length, blobs: blobs.length, bytes })
    await lease?.protect([...documents.map(({ descriptor }) => descriptor), ...blobs])
    const transferred = await transfer({
      source: source.store,
      target: target.store,
      documents,
      concurrency,
      signal,
      stop: (reason) => failure.abort(reason),
      onEvent,
    })
    await setNames(target, root.descriptor, digestTags, { signal, onEvent })
    const { descriptor } = root
    onEvent({ type: 'done', digest: descriptor.digest })
    const unchanged = descriptor.digest === original.descriptor.digest
    return { descriptor, unchanged, transferred, digestTags: digestTags.map(({ tag }) => tag) }
  } finally {
    failure.abort() // what still reads ahead is not needed any more
    await lease?.release()
  }
}

async function readRoot({ store, name }: CopySource, signal: AbortSignal): Promise<ReadDocument> {
  const descriptor = await store.resolve(name, { signal })
  if (descriptor === undefined) throw notStored(textOf(name), 'the source')
  return { descriptor, bytes: await readDocument(store, descriptor, signal) }
}

async function readDocument(
  store: ContentSource,
  descriptor: Descriptor,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const bytes = await store.read(descriptor, { signal })
  if (bytes === undefined) throw notStored(descriptor.digest, 'the source')
  return bytes
}

async function choose(
  root: ReadDocument,
  { store, name }: CopySource,
  { platform, platforms }: CopyOptions,
  signal: AbortSignal,
): Promise<ReadDocument> {
  const context = {
    what: textOf(name),
    read: (descriptor: Descriptor) => readDocument(store, descriptor, signal),
  }
  if (platform !== undefined) return choosePlatform(root, platform, context)
  if (platforms !== undefined) return choosePlatforms(root, platforms, context)
  return root
}

/** What is found may be signed in turn, so look until nothing is new. */
async function planDigestTags(source: CopySource, plan: PlanContext): Promise<DigestTag[]> {
  const found = new Map<string, DigestTag>()
  for (let before = -1; found.size > before; ) {
    before = found.size
    const isAbout = (digest: string) => plan.documents.has(digest)
    for (const each of await findDigestTags(source.store, source.name, isAbout, plan.signal)) {
      if (found.has(each.tag)) continue
      found.set(each.tag, each)
      const bytes = await source.store.read(each.descriptor, { signal: plan.signal })
      if (bytes !== undefined) await planDocuments({ descriptor: each.descriptor, bytes }, plan)
    }
  }
  return [...found.values()]
}

async function setNames(
  { store, name }: CopyTarget,
  root: Descriptor,
  digestTags: DigestTag[],
  { signal, onEvent }: { signal: AbortSignal; onEvent: CopyListener },
): Promise<void> {
  if (name === undefined) return
  const names: Array<[ContentName, Descriptor]> = digestTags.map(({ tag, descriptor }) => [
    nameBeside(store, name, tag),
    descriptor,
  ])
  for (const [each, descriptor] of [...names, [name, root] as const]) {
    await store.tag(each, descriptor, { signal })
    onEvent({ type: 'tagged', name: textOf(each), digest: descriptor.digest })
  }
}

function uniqueBlobs(blobs: Descriptor[]): Descriptor[] {
  return [...new Map(blobs.map((blob) => [blob.digest, blob])).values()]
}

function checkSizes(blobs: Descriptor[], { limits = {} }: CopyOptions): void {
  const { blobBytes = 16 * GIB, totalBytes = 64 * GIB } = limits
  let total = 0
  for (const { digest, size } of blobs) {
    total += size
    if (size > blobBytes) throw tooLarge(digest, size, blobBytes)
  }
  if (total > totalBytes) throw tooLarge('what is to be copied', total, totalBytes)
}

function tooLarge(what: string, size: number, limit: number): RegistryError {
  return new RegistryError(
    'ERR_REGISTRY_TOO_LARGE',
    `${what} is too large: ${size} bytes, where ${limit} are allowed`,
    {
      expected: `at most ${limit}`,
      actual: String(size),
      hint: 'raise the limit if the content is to be trusted',
    },
  )
}

function textOf(name: ContentName): string {
  return typeof name === 'string' ? name : familiarName(name)
}
