import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type FileHandle, open, rename, stat, unlink } from 'node:fs/promises'
import type { Writable } from 'node:stream'
import { throwIfAborted } from '../abort.ts'
import type { BlobSource } from '../client/blob-source.ts'
import { bytesSource } from '../client/blob-source.ts'
import { RegistryError } from '../errors.ts'
import type { Descriptor } from '../image/descriptor.ts'
import { verifyStream } from '../image/digest.ts'
import { hostPlatform } from '../image/host-platform.ts'
import { isDocumentType } from '../image/links.ts'
import type { Platform } from '../image/platform.ts'
import { parseReference, type Reference } from '../image/reference.ts'
import type { ContentTarget, PutOptions, PutOutcome } from '../store/content-store.ts'
import { notStored, readSource, referrerOf } from '../store/documents.ts'
import { ArchiveContents } from './archive-contents.ts'
import { archiveDocuments } from './archive-documents.ts'
import { archiveError } from './archive-error.ts'
import { BLOCK_BYTES, encodeHeader, paddingOf } from './tar-header.ts'

/** An archive of images that is written; `finish` it, or nothing is left of it. */
export interface ImageArchiveWriter extends ContentTarget {
  /** Write what names the images, and give the file its name. */
  finish(): Promise<void>
  /** Give up, unless it is finished; idempotent. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** Options of {@link createImageArchive}. */
export interface ImageArchiveWriterOptions {
  /** What docker gets to see of an index: it knows one image for a name. Default: this machine's. */
  platform?: Platform | undefined
}

/** Where the bytes of an archive go. */
interface Sink {
  /** Waits for whoever reads it slowly, and for an abort no longer. */
  write(bytes: Uint8Array, signal?: AbortSignal): Promise<void>
  finish(): Promise<void>
  discard(): Promise<void>
}

/**
 * Write images to a file, or to a stream, as docker 25 and BuildKit do: an OCI layout in a tar archive,
 * and a manifest.json that names the same blobs. `docker load`, `podman load`, `ctr image import`,
 * `skopeo copy docker-archive:` and `oci-archive:` take it.
 *
 * Blobs are written as they are, compressed layers too, one after the other and never held in memory, so
 * that every digest survives; all loaders since docker 1.10 uncompress layers by themselves (zstd since
 * docker 23). Equal content in equal order gives an equal archive. Names are image references. A file
 * gets its name only when it is finished. Throws `ERR_REGISTRY_ARCHIVE`.
 */
export function createImageArchive(
  output: string | Writable,
  { platform = hostPlatform() }: ImageArchiveWriterOptions = {},
): ImageArchiveWriter {
  const sink = typeof output === 'string' ? fileSink(output) : streamSink(output)
  const written = new Map<string, Descriptor>()
  const documents = new Map<string, Uint8Array>()
  const names = new Map<string, { reference: Reference; descriptor: Descriptor }>()
  const attached = new Map<string, Descriptor>()
  const directories = new Set<string>()
  let state: 'open' | 'broken' | 'finished' | 'closed' = 'open'
  let turn: Promise<unknown> = Promise.resolve()

  /** One at a time; what fails halfway leaves nothing that could be finished. */
  function inTurn<T>(action: () => Promise<T>): Promise<T> {
    const result = turn.then(async () => {
      if (state !== 'open') throw notOpen(state)
      try {
        return await action()
      } catch (error) {
        state = 'broken'
        throw error
      }
    })
    turn = result.catch(() => {})
    return result
  }

  async function writeMember(name: string, source: BlobSource, options: PutOptions = {}) {
    const { descriptor } = source
    const { signal, onProgress } = options
    await sink.write(encodeHeader({ name, size: descriptor.size, type: '0' }), signal)
    let done = 0
    for await (const chunk of verifyStream(source.open(0, signal), descriptor)) {
      throwIfAborted(signal)
      await sink.write(chunk, signal)
      done += chunk.byteLength
      onProgress?.(done)
    }
    await sink.write(Buffer.alloc(paddingOf(descriptor.size)), signal)
  }

  async function writeDirectories(path: string, signal: AbortSignal | undefined) {
    for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
      const name = path.slice(0, slash + 1)
      if (!directories.has(name)) {
        await sink.write(encodeHeader({ name, size: 0, type: '5' }), signal)
      }
      directories.add(name)
    }
  }

  async function put(source: BlobSource, options?: PutOptions): Promise<PutOutcome> {
    const { descriptor } = source
    if (written.has(descriptor.digest)) return 'exists'
    const path = ArchiveContents.pathOf(descriptor.digest)
    await writeDirectories(path, options?.signal)
    if (isDocumentType(descriptor.mediaType)) {
      const bytes = await readSource(source, options?.signal)
      const referrer = referrerOf(bytes, descriptor)
      if (referrer !== undefined) attached.set(descriptor.digest, referrer.descriptor)
      documents.set(descriptor.digest, bytes)
      await writeMember(path, bytesSource(bytes, descriptor), options)
    } else {
      await writeMember(path, source, options)
    }
    written.set(descriptor.digest, descriptor)
    return 'stored'
  }

  async function finish() {
    const made = archiveDocuments({ names: [...names.values()], documents, attached, platform })
    for (const [name, text] of made) {
      await writeMember(name, bytesSource(Buffer.from(text)))
    }
    await sink.write(Buffer.alloc(2 * BLOCK_BYTES))
    await sink.finish()
  }

  async function close() {
    if (state === 'finished' || state === 'closed') return
    state = 'closed'
    await turn
    await sink.discard()
  }

  return {
    maxConcurrency: 1,
    has: async ({ digest, size }) => written.get(digest)?.size === size,
    put: (source, options) => inTurn(() => put(source, options)),
    tag: (name, descriptor) =>
      inTurn(async () => {
        if (!documents.has(descriptor.digest)) throw notStored(descriptor.digest, 'the archive')
        const reference = typeof name === 'string' ? parseReference(name) : name
        names.set(JSON.stringify(reference), { reference, descriptor })
      }),
    finish: async () => {
      await inTurn(finish)
      state = 'finished'
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

function notOpen(state: string): RegistryError {
  return new RegistryError('ERR_REGISTRY_ARCHIVE', `the archive is ${state}: nothing can be added`)
}

/** Grows beside its final name, which it gets at the end; opened by the first write. */
function fileSink(path: string): Sink {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
  let handle: FileHandle | undefined
  const attempt = async (action: () => Promise<void>) => {
    try {
      await action()
    } catch (error) {
      throw archiveError('write', path, error)
    }
  }
  return {
    write: (bytes) =>
      attempt(async () => {
        handle ??= await openBeside(path, temporary)
        for (let done = 0; done < bytes.byteLength; ) {
          done += (await handle.write(bytes, done)).bytesWritten
        }
      }),
    finish: () =>
      attempt(async () => {
        await handle?.sync()
        await handle?.close()
        await rename(temporary, path)
      }),
    async discard() {
      if (handle === undefined) return
      await handle.close().catch(() => {})
      await unlink(temporary).catch(() => {})
    },
  }
}

/** What is no file is not replaced by one: it may be /dev/null. */
async function openBeside(path: string, temporary: string): Promise<FileHandle> {
  const found = await stat(path).catch(() => undefined)
  if (found !== undefined && !found.isFile()) {
    throw new RegistryError('ERR_REGISTRY_ARCHIVE', `cannot write ${path}: it is not a file`, {
      path,
      hint: 'name a file, or write to a stream',
    })
  }
  return open(temporary, 'wx')
}

/** Somebody else's stream: it is ended at the end, and left alone when there is none. */
function streamSink(stream: Writable): Sink {
  let failure: unknown
  stream.on('error', (error) => {
    failure = error
  })
  const check = () => {
    if (stream.destroyed) failure ??= new Error('the stream is closed')
    if (failure !== undefined) throw archiveError('write', 'the archive', failure)
  }
  return {
    async write(bytes, signal) {
      check()
      if (bytes.byteLength > 0 && !stream.write(bytes)) await drained(stream, signal)
      check()
    },
    async finish() {
      await new Promise<void>((resolve) => stream.write('', () => resolve()))
      check()
    },
    async discard() {},
  }
}

/** Until there is room in a stream, or it has ended in whatever way; what it has failed of is its listener's. */
async function drained(stream: Writable, outer: AbortSignal | undefined): Promise<void> {
  const over = new AbortController()
  const signal = outer === undefined ? over.signal : AbortSignal.any([outer, over.signal])
  const either = [once(stream, 'drain', { signal }), once(stream, 'close', { signal })]
  await Promise.race(either).catch(() => {})
  over.abort() // takes the listeners away
  throwIfAborted(outer)
}
