import { type BlobSource, bytesSource } from '../client/blob-source.ts'
import type { Descriptor } from '../image/descriptor.ts'
import { throttled } from '../progress.ts'
import type { ContentSource, ContentTarget, PutOutcome } from '../store/content-store.ts'
import type { CopyListener } from './copy-event.ts'
import { createLimiter, forEachLimited } from './limiter.ts'
import type { PlannedDocument } from './plan.ts'

/** What {@link transfer} works with. */
export interface TransferContext {
  source: ContentSource
  target: ContentTarget
  /** Children before parents. */
  documents: PlannedDocument[]
  concurrency: number
  signal: AbortSignal
  /** Make `signal` stop what else is going on. */
  stop: (reason: unknown) => void
  onEvent: CopyListener
}

/** How many blobs came how, and their bytes. */
export type TransferCount = Record<PutOutcome, { blobs: number; bytes: number }>

/** Blobs first, then documents, children before parents; each once. */
export async function transfer(context: TransferContext): Promise<TransferCount> {
  const missing = await findMissing(context)
  const count: TransferCount = {
    exists: { blobs: 0, bytes: 0 },
    mounted: { blobs: 0, bytes: 0 },
    stored: { blobs: 0, bytes: 0 },
  }
  const blobs = new Map(missing.flatMap((document) => document.blobs.map((b) => [b.digest, b])))
  const put = async (blob: Descriptor) => {
    const outcome = await putBlob(blob, context)
    count[outcome].blobs++
    count[outcome].bytes += blob.size
  }
  await forEachLimited(blobs.values(), context.concurrency, put, context.stop)
  await putDocuments(missing, context)
  return count
}

/** Where a manifest proves that everything below it is there, nothing below one that is there is looked at. */
async function findMissing(context: TransferContext): Promise<PlannedDocument[]> {
  const { target, documents, concurrency, signal } = context
  if (target.closed !== true) return documents
  const limit = createLimiter(concurrency)
  const byDigest = new Map(documents.map((document) => [document.descriptor.digest, document]))
  const below = new Set(documents.flatMap(({ children }) => children))
  const missing = new Set<PlannedDocument>()
  const visit = async (document: PlannedDocument): Promise<void> => {
    if (missing.has(document)) return
    if (await limit(() => target.has(document.descriptor, { signal }))) return
    missing.add(document)
    await Promise.all(
      document.children.map(async (digest) => {
        const child = byDigest.get(digest)
        if (child !== undefined) await visit(child)
      }),
    )
  }
  const roots = documents.filter(({ descriptor }) => !below.has(descriptor.digest))
  await Promise.all(roots.map(visit))
  return documents.filter((document) => missing.has(document))
}

async function putBlob(
  blob: Descriptor,
  { source, target, signal, onEvent }: TransferContext,
): Promise<PutOutcome> {
  const { digest, size } = blob
  let started = false
  const watched: BlobSource = {
    descriptor: blob,
    open(offset, inner) {
      if (!started) onEvent({ type: 'blob-start', digest, size, offset })
      started = true
      return source.open(blob, offset, inner ?? signal)
    },
  }
  const onProgress = throttled(size, (received) =>
    onEvent({ type: 'blob-progress', digest, received, size }),
  )
  const outcome = await target.put(watched, { from: source, signal, onProgress })
  onEvent({ type: 'blob-done', digest, size, outcome })
  return outcome
}

/**
 * Level by level. What is about another document is put one at a time, since registries without a
 * list of referrers keep theirs in a tag, which every one of them changes.
 */
async function putDocuments(documents: PlannedDocument[], context: TransferContext): Promise<void> {
  const heights = [...new Set(documents.map(({ height }) => height))].sort((a, b) => a - b)
  for (const level of heights) {
    const all = documents.filter(({ height }) => height === level)
    const put = (document: PlannedDocument) => putDocument(document, context)
    const [about, plain] = [all.filter(isAttached), all.filter((each) => !isAttached(each))]
    await forEachLimited(plain, context.concurrency, put, context.stop)
    await forEachLimited(about, 1, put)
  }
}

function isAttached({ attached }: PlannedDocument): boolean {
  return attached
}

async function putDocument(
  { descriptor, bytes }: PlannedDocument,
  { target, signal, onEvent }: TransferContext,
): Promise<void> {
  const { digest, size, mediaType } = descriptor
  const outcome = await target.put(bytesSource(bytes, { digest, size, mediaType }), { signal })
  onEvent({ type: 'document-done', descriptor, outcome })
}
