import { throwIfAborted } from '../abort.ts'
import { RegistryError } from '../errors.ts'
import type { Descriptor } from '../image/descriptor.ts'
import { badDocument } from '../image/json-document.ts'
import { isDocumentType, type Link, linksOf } from '../image/links.ts'
import type { ContentSource } from '../store/content-store.ts'
import type { ReadDocument } from './choose-platforms.ts'
import type { CopyListener } from './copy-event.ts'
import type { Limiter } from './limiter.ts'

/** A manifest or index that is to be copied. */
export interface PlannedDocument extends ReadDocument {
  /** The documents below it. */
  children: string[]
  /** Configuration, layers and whatever else is below it. */
  blobs: Descriptor[]
  /** How many documents are stacked below it. */
  height: number
  /** Whether it is about another one: a signature, an SBOM. */
  attached: boolean
}

/** What {@link planDocuments} works with. */
export interface PlanContext {
  source: ContentSource
  limit: Limiter
  /** Whether to copy what is about the documents, too. */
  referrers: boolean
  /** By digest, children before parents, what is about a document after it. */
  documents: Map<string, PlannedDocument>
  /** Bytes of documents that were read; they stay in memory until they are written. */
  spent: { bytes: number }
  signal: AbortSignal | undefined
  onEvent: CopyListener
}

const MAX_DEPTH = 16
const MAX_DOCUMENTS = 10_000
const MAX_BYTES = 256 * 1024 * 1024

/** Read everything that is below a document, and what is about any of it; layers are not touched. */
export async function planDocuments(
  root: ReadDocument,
  context: PlanContext,
  depth = 0,
): Promise<PlannedDocument | undefined> {
  const { documents } = context
  const { digest } = root.descriptor
  const known = documents.get(digest)
  if (known !== undefined) return known
  throwIfAborted(context.signal)
  if (depth > MAX_DEPTH) throw badDocument(digest, `it is more than ${MAX_DEPTH} levels deep`)
  const links = linksOf(root.bytes, digest)
  const below = links.filter(({ role, descriptor }) => isChild(role, descriptor))
  checkLimit('manifests to copy', documents.size + below.length, MAX_DOCUMENTS)
  const children = await Promise.all(below.map((link) => readDocument(link, digest, context)))
  const planned: PlannedDocument[] = []
  for (const child of children) {
    const document = await planDocuments(child, context, depth + 1)
    if (document !== undefined) planned.push(document)
  }
  const document: PlannedDocument = {
    ...root,
    children: planned.map(({ descriptor }) => descriptor.digest),
    blobs: await findBlobs(links, context),
    height: 1 + Math.max(0, ...planned.map(({ height }) => height)),
    attached: links.some(({ role }) => role === 'subject'),
  }
  documents.set(digest, document)
  if (context.referrers) await planReferrers(root.descriptor, context, depth)
  return document
}

async function planReferrers(
  subject: Descriptor,
  context: PlanContext,
  depth: number,
): Promise<void> {
  const { source, signal } = context
  for await (const descriptor of source.referrers(subject, { signal })) {
    if (!isDocumentType(descriptor.mediaType)) continue
    checkLimit('manifests to copy', context.documents.size + 1, MAX_DOCUMENTS)
    const link: Link = { role: 'manifest', descriptor }
    await planDocuments(await readDocument(link, subject.digest, context), context, depth + 1)
  }
}

/** Documents of a type that nobody knows are blobs to every store. */
function isChild(role: Link['role'], { mediaType }: Descriptor): boolean {
  return role === 'manifest' && isDocumentType(mediaType)
}

async function readDocument(
  { descriptor }: Link,
  parent: string,
  { source, limit, signal, spent }: PlanContext,
): Promise<ReadDocument> {
  spent.bytes += descriptor.size
  checkLimit('bytes of manifests to copy', spent.bytes, MAX_BYTES)
  const bytes = await limit(() => source.read(descriptor, { signal }))
  if (bytes !== undefined) return { descriptor, bytes }
  const { digest } = descriptor
  throw new RegistryError('ERR_REGISTRY_NOT_FOUND', `${digest}, a part of ${parent}, is missing`, {
    hint: 'if the source was filled for some platforms only, choose these',
  })
}

/** Layers that may not be distributed need not be anywhere. */
async function findBlobs(
  links: Link[],
  { source, limit, signal, onEvent }: PlanContext,
): Promise<Descriptor[]> {
  const blobs: Descriptor[] = []
  for (const { role, descriptor } of links) {
    if (role === 'subject' || isChild(role, descriptor)) continue
    const { mediaType, digest } = descriptor
    if (FOREIGN.test(mediaType) && !(await limit(() => source.has(descriptor, { signal })))) {
      const message = `layer ${digest} may not be distributed and is not at the source: left out`
      onEvent({ type: 'warning', message })
    } else {
      blobs.push(descriptor)
    }
  }
  return blobs
}

const FOREIGN = /\.nondistributable\.|\.foreign\./

function checkLimit(what: string, found: number, limit: number): void {
  if (found <= limit) return
  throw new RegistryError('ERR_REGISTRY_TOO_LARGE', `there are more than ${limit} ${what}`, {
    expected: `at most ${limit}`,
    actual: String(found),
  })
}
