import { createReadStream } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { abortedError } from '../abort.ts'
import { isRegistryError } from '../errors.ts'
import { parseDescriptor } from '../image/descriptor.ts'
import { Verifier } from '../image/digest.ts'
import { MAX_DOCUMENT_BYTES } from '../image/json-document.ts'
import { isDocumentType, type Link, linksOf } from '../image/links.ts'
import { blobPath, readBlob, readRegularFile } from './blob-files.ts'
import { type BlobFile, blobsIn } from './collect-garbage.ts'
import { readRawEntries } from './layout-index.ts'

/** Something that is wrong with a layout. */
export interface LayoutProblem {
  kind: /** The bytes do not hash to the file's name. */
    | 'digest-mismatch'
    /** The size is not the one that a reference gives. */
    | 'size-mismatch'
    /** A reference leads to nothing; of an index that was stored for some platforms only, see `role`. */
    | 'missing'
    /** Not a regular file. */
    | 'not-a-file'
    /** The system refuses to read it. */
    | 'unreadable'
    /** A manifest, an index or index.json that breaks its specification. */
    | 'bad-document'
  /** The blob that is wrong; undefined for index.json. */
  digest?: string
  path: string
  /** As what it is referred to. */
  role?: Link['role']
  /** The document that refers to it; undefined for index.json. */
  parent?: string
  message: string
}

/** What `verify` tells while it works. */
export type VerifyEvent =
  | { type: 'blob'; digest: string; size: number }
  | { type: 'problem'; problem: LayoutProblem }

/** Options of {@link verifyLayout}. */
export interface VerifyOptions {
  signal?: AbortSignal | undefined
  /** Called synchronously. */
  onEvent?: ((event: VerifyEvent) => void) | undefined
}

/** What {@link verifyLayout} found. */
export interface VerifyReport {
  /** Blobs that were read. */
  blobs: number
  /** Their bytes. */
  bytes: number
  /** Empty if the layout is whole. */
  problems: LayoutProblem[]
}

const READ_BYTES = 1024 * 1024

/**
 * Read every blob and follow every reference; what is wrong is reported, not thrown.
 *
 * Throws `ERR_REGISTRY_ABORTED`, and `ERR_REGISTRY_LAYOUT` if there is no index.json that can be read.
 */
export async function verifyLayout(
  directory: string,
  { signal, onEvent = () => {} }: VerifyOptions = {},
): Promise<VerifyReport> {
  const report: VerifyReport = { blobs: 0, bytes: 0, problems: [] }
  const found = (problem: LayoutProblem) => {
    report.problems.push(problem)
    onEvent({ type: 'problem', problem })
  }
  for await (const blob of blobsIn(directory)) {
    const problem = await verifyBlob(blob, signal)
    if (problem !== undefined) found(problem)
    report.blobs++
    report.bytes += blob.size
    onEvent({ type: 'blob', digest: blob.digest, size: blob.size })
  }
  await verifyReferences(directory, found)
  return report
}

async function verifyBlob(
  { digest, path, size, isFile }: BlobFile,
  signal: AbortSignal | undefined,
): Promise<LayoutProblem | undefined> {
  if (!isFile) return { kind: 'not-a-file', digest, path, message: `${path} is not a regular file` }
  const verifier = new Verifier({ digest, size })
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: READ_BYTES })) {
      if (signal?.aborted) throw abortedError(signal)
      verifier.update(chunk)
    }
    verifier.finish()
    return undefined
  } catch (error) {
    if (isRegistryError(error, 'ERR_REGISTRY_ABORTED')) throw error
    const kind = isRegistryError(error) ? 'digest-mismatch' : 'unreadable'
    return { kind, digest, path, message: messageOf(error) }
  }
}

/** Every document once, from index.json down. */
async function verifyReferences(
  directory: string,
  found: (problem: LayoutProblem) => void,
): Promise<void> {
  const path = join(directory, 'index.json')
  const seen = new Set<string>()
  const queue: Array<{ link: Link; parent?: string }> = []
  for (const entry of readRawEntries(directory)) {
    try {
      queue.push({ link: { role: 'manifest', descriptor: parseDescriptor(entry, path) } })
    } catch (error) {
      found({ kind: 'bad-document', path, message: messageOf(error) })
    }
  }
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const { digest, mediaType } = next.link.descriptor
    const there = await verifyLink(directory, next.link, next.parent, found)
    const followed = isDocumentType(mediaType) && next.link.role !== 'config'
    if (!there || !followed || seen.has(digest)) continue
    seen.add(digest)
    for (const link of linksIn(directory, next.link, found)) queue.push({ link, parent: digest })
  }
}

/** Whether there is a file of the right size; what need not be there is not missed. */
async function verifyLink(
  directory: string,
  { role, descriptor }: Link,
  parent: string | undefined,
  found: (problem: LayoutProblem) => void,
): Promise<boolean> {
  const { digest, size } = descriptor
  const path = blobPath(directory, digest)
  const facts = { digest, path, role, ...(parent === undefined ? {} : { parent }) }
  const stat = await lstat(path).catch(() => undefined)
  if (stat === undefined) {
    if (role === 'subject' || isForeign(descriptor.mediaType)) return false
    found({
      kind: 'missing',
      ...facts,
      message: `${path} is missing: a ${role} of ${parent ?? 'index.json'}`,
    })
    return false
  }
  if (stat.isFile() && stat.size === size) return true
  if (stat.isFile()) {
    const message = `${path} has ${stat.size} bytes, and ${parent ?? 'index.json'} says ${size}`
    found({ kind: 'size-mismatch', ...facts, message })
  }
  return false
}

function linksIn(
  directory: string,
  { descriptor }: Link,
  found: (problem: LayoutProblem) => void,
): Link[] {
  const { digest } = descriptor
  const path = blobPath(directory, digest)
  const bad = (error: unknown) =>
    found({ kind: 'bad-document', digest, path, message: messageOf(error) })
  try {
    return linksOf(readRegularFile(path, MAX_DOCUMENT_BYTES), path, bad)
  } catch (error) {
    // Damaged bytes have been reported as such.
    if (readIfWhole(directory, descriptor) !== undefined) bad(error)
    return []
  }
}

function readIfWhole(directory: string, descriptor: Link['descriptor']): Uint8Array | undefined {
  try {
    return readBlob(directory, descriptor)
  } catch {
    return new Uint8Array() // it is too large for a document
  }
}

/** Layers that may not be distributed come from elsewhere. */
function isForeign(mediaType: string): boolean {
  return /\.nondistributable\.|\.foreign\./.test(mediaType)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
