import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { throwIfAborted } from '../abort.ts'
import type { BlobSource } from '../client/blob-source.ts'
import { type Descriptor, parseDescriptor } from '../image/descriptor.ts'
import { isDamage } from '../image/digest.ts'
import { MAX_DOCUMENT_BYTES, parseJsonObject } from '../image/json-document.ts'
import { isDocumentType } from '../image/links.ts'
import { parseReference, type Reference } from '../image/reference.ts'
import { blobPath, readRegularFile } from '../layout/blob-files.ts'
import { findEntry } from '../layout/find-image.ts'
import type { ImageLayout } from '../layout/image-layout.ts'
import { damagedLayout, isMissing, layoutError } from '../layout/layout-error.ts'
import {
  ANNOTATIONS,
  changeEntries,
  namelessDescriptor,
  readIndexEntries,
} from '../layout/layout-index.ts'
import type { ContentName, ContentStore, PutOptions, PutOutcome } from './content-store.ts'
import { describeDocument, digestInName, notStored, readSource, referrerOf } from './documents.ts'

const READ_BYTES = 256 * 1024

/**
 * An OCI image layout as a store, with everything that its names stand for: indexes as a whole, and
 * artifacts. Names are image references. A manifest with a subject gets an entry in index.json of its
 * own, without a name; there other tools look for it, too.
 */
export function layoutStore(layout: ImageLayout): ContentStore {
  const { directory } = layout
  return {
    resolve: async (name) => resolve(directory, name),
    has: (descriptor) => layout.has(descriptor),
    read: (descriptor) => layout.read(descriptor),
    open: (descriptor, offset = 0, signal) => readBlobFrom(directory, descriptor, offset, signal),
    put: (source, options) =>
      isDocumentType(source.descriptor.mediaType)
        ? putDocument(layout, source, options)
        : putBlob(layout, source, options),
    tag: (name, descriptor, { signal } = {}) =>
      layout.tag(toReference(name), namelessDescriptor(descriptor), { signal }),
    untag: (name, { signal } = {}) => layout.untag(toReference(name), { signal }),
    lease: (options) => layout.lease(options),
    async *names() {
      for (const { name } of await layout.list()) yield name
    },
    referrers: (descriptor, { artifactType } = {}) =>
      findReferrers(layout, descriptor, artifactType),
  }
}

function resolve(directory: string, name: ContentName): Descriptor | undefined {
  const entry = isBareDigest(name) ? undefined : findEntry(directory, toReference(name))
  if (entry !== undefined) return namelessDescriptor(entry)
  const digest = digestInName(name)
  if (digest === undefined) return undefined
  const listed = readIndexEntries(directory).find((descriptor) => descriptor.digest === digest)
  if (listed !== undefined) return namelessDescriptor(listed)
  try {
    const bytes = readRegularFile(blobPath(directory, digest), MAX_DOCUMENT_BYTES)
    return describeDocument(bytes, digest)
  } catch (error) {
    if (isMissing(error)) return undefined
    throw layoutError('read', blobPath(directory, digest), error)
  }
}

async function* readBlobFrom(
  directory: string,
  { digest }: Descriptor,
  offset: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const path = blobPath(directory, digest)
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  try {
    const handle = await open(path, flags)
    try {
      if (!(await handle.stat()).isFile()) throw damagedLayout(path, 'it is not a regular file')
      yield* readFrom(handle, offset, signal)
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (isMissing(error)) throw notStored(digest, directory)
    throw layoutError('read', path, error)
  }
}

async function* readFrom(
  handle: FileHandle,
  offset: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  for (let position = offset; ; ) {
    throwIfAborted(signal)
    const buffer = Buffer.allocUnsafe(READ_BYTES)
    const { bytesRead } = await handle.read(buffer, 0, READ_BYTES, position)
    if (bytesRead === 0) return
    position += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

async function putDocument(
  layout: ImageLayout,
  source: BlobSource,
  { signal }: PutOptions = {},
): Promise<PutOutcome> {
  const { descriptor } = source
  const there = layout.read(descriptor)
  const bytes = (await there) ?? (await readSource(source, signal))
  const referrer = referrerOf(bytes, descriptor)
  if ((await there) === undefined) await layout.write(descriptor, bytes)
  if (referrer !== undefined) await listReferrer(layout.directory, referrer.descriptor, signal)
  return (await there) === undefined ? 'stored' : 'exists'
}

/** Name or no name, an entry of index.json is how it is found. */
async function listReferrer(
  directory: string,
  descriptor: Descriptor,
  signal: AbortSignal | undefined,
): Promise<void> {
  await changeEntries(directory, { signal }, (entries) => {
    const listed = readIndexEntries(directory).some(({ digest }) => digest === descriptor.digest)
    return listed ? undefined : [...entries, descriptor]
  })
}

/** What an earlier attempt left is gone on with; if that was damaged, all is fetched once more. */
async function putBlob(
  layout: ImageLayout,
  { descriptor, open: openAt }: BlobSource,
  { signal, onProgress }: PutOptions = {},
): Promise<PutOutcome> {
  const ingest = await layout.ingest(descriptor, signal)
  if (ingest === undefined) return 'exists'
  const fill = async () => {
    for await (const chunk of openAt(ingest.offset, signal)) {
      throwIfAborted(signal)
      await ingest.write(chunk)
      onProgress?.(ingest.offset)
    }
    await ingest.commit()
  }
  const inherited = ingest.offset
  try {
    await fill().catch(async (error: unknown) => {
      if (!isDamage(error)) throw error
      await ingest.restart()
      if (inherited === 0) throw error
      await fill()
    })
    return 'stored'
  } finally {
    await ingest.close()
  }
}

async function* findReferrers(
  layout: ImageLayout,
  { digest }: Descriptor,
  artifactType: string | undefined,
): AsyncGenerator<Descriptor, void, undefined> {
  const found = new Map<string, Descriptor>()
  for (const entry of readIndexEntries(layout.directory)) {
    for (const descriptor of await candidates(layout, entry, digest)) {
      const bytes = isDocumentType(descriptor.mediaType)
        ? await readQuietly(layout, descriptor)
        : undefined
      const referrer = bytes && referrerOf(bytes, descriptor)
      if (referrer?.subject === digest) found.set(descriptor.digest, referrer.descriptor)
    }
  }
  for (const descriptor of found.values()) {
    if (artifactType === undefined || descriptor.artifactType === artifactType) yield descriptor
  }
}

/** Tools that know no entries without a name keep a list under the tag for registries that know none either. */
async function candidates(
  layout: ImageLayout,
  entry: Descriptor,
  subject: string,
): Promise<Descriptor[]> {
  if (entry.annotations?.[ANNOTATIONS.refName] !== subject.replace(':', '-')) return [entry]
  const bytes = await readQuietly(layout, entry)
  const list = bytes && parseJsonObject(bytes, entry.digest)['manifests']
  return Array.isArray(list) ? list.map((item) => parseDescriptor(item, entry.digest)) : []
}

/** What cannot be read refers to nothing. */
async function readQuietly(
  layout: ImageLayout,
  descriptor: Descriptor,
): Promise<Uint8Array | undefined> {
  return layout.read(descriptor).catch(() => undefined)
}

function toReference(name: ContentName): Reference {
  return typeof name === 'string' ? parseReference(name) : name
}

function isBareDigest(name: ContentName): boolean {
  return typeof name === 'string' && digestInName(name) === name
}
