import { existsSync } from 'node:fs'
import { lstat, readdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { throwIfAborted } from '../abort.ts'
import { isDigest } from '../image/digest.ts'
import type { Reference } from '../image/reference.ts'
import { blobPath } from './blob-files.ts'
import { isMissing, layoutError } from './layout-error.ts'
import { changeEntries, isNamed } from './layout-index.ts'
import { readLeases } from './lease.ts'
import { findReachable, follow } from './reachable.ts'
import { sweepLayout } from './sweep.ts'

/** Options of {@link collectGarbage}. */
export interface GarbageOptions {
  /** Only say what would be removed. */
  dryRun?: boolean | undefined
  /**
   * Blobs younger than this are kept with all that they lead to, for writers that take no lease, as those
   * of other programs.
   * Default: one hour.
   */
  graceMs?: number | undefined
  signal?: AbortSignal | undefined
}

/** A blob that was removed, or with `dryRun` would have been. */
export interface RemovedBlob {
  digest: string
  /** In bytes. */
  size: number
}

/** What a collection did. */
export interface GarbageReport {
  removed: RemovedBlob[]
  /** Bytes that became free. */
  removedBytes: number
  /** Blobs that a name or a writer needs. */
  kept: number
  /** Blobs that no name leads to and that are too young to go, and what these lead to. */
  young: number
}

const HOUR_MS = 3_600_000

/** Remove every blob that neither a name nor a writer's lease leads to. */
export async function collectGarbage(
  directory: string,
  { dryRun = false, graceMs = HOUR_MS, signal }: GarbageOptions = {},
): Promise<GarbageReport> {
  const report: GarbageReport = { removed: [], removedBytes: 0, kept: 0, young: 0 }
  if (!existsSync(join(directory, 'index.json')) && !existsSync(join(directory, 'blobs'))) {
    return report
  }
  if (!dryRun) {
    await sweepLayout(directory)
    await dropDetached(directory, signal)
  }
  await changeEntries(directory, { signal }, async (entries) => {
    const { digests } = findReachable(directory, entries, await readLeases(directory))
    const blobs: BlobFile[] = []
    for await (const blob of blobsIn(directory)) blobs.push(blob)
    // Who writes a manifest counts on what was there before it, however old that is.
    const spared = new Set(digests)
    const isYoung = ({ modifiedMs }: BlobFile) => Date.now() - modifiedMs < graceMs
    for (const { digest } of blobs.filter(isYoung)) follow(directory, digest, spared)
    for (const blob of blobs) {
      throwIfAborted(signal)
      if (digests.has(blob.digest)) report.kept++
      else if (spared.has(blob.digest)) report.young++
      else await removeBlob(directory, blob, report, dryRun)
    }
    return undefined
  })
  return report
}

/** What {@link removeName} did. */
export interface RemovedName {
  /** Manifests, configurations and layers that nothing else needs; in no order. */
  removed: RemovedBlob[]
}

/** Remove a name, and at once every blob that only it led to. Undefined if there is no such name. */
export async function removeName(
  directory: string,
  reference: Reference,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<RemovedName | undefined> {
  let before: Set<string> | undefined
  await changeEntries(directory, { signal }, (entries) => {
    const others = entries.filter((entry) => !isNamed(entry, reference))
    if (others.length === entries.length) return undefined
    before = findReachable(directory, entries).digests
    return findReachable(directory, others).entries
  })
  if (before === undefined) return undefined
  const candidates = before
  const removed: RemovedBlob[] = []
  await changeEntries(directory, { signal }, async (entries) => {
    const { digests } = findReachable(directory, entries, await readLeases(directory))
    for (const digest of candidates) {
      const size = digests.has(digest) ? undefined : await sizeOf(blobPath(directory, digest))
      if (size === undefined) continue
      await unlinkBlob(directory, digest)
      removed.push({ digest, size })
    }
    return undefined
  })
  return { removed }
}

/** Signatures and the like whose subject no name leads to any more; names go before blobs. */
async function dropDetached(directory: string, signal: AbortSignal | undefined): Promise<void> {
  await changeEntries(directory, { signal }, async (entries) => {
    const reachable = findReachable(directory, entries, await readLeases(directory))
    return reachable.entries.length < entries.length ? reachable.entries : undefined
  })
}

async function sizeOf(path: string): Promise<number | undefined> {
  return lstat(path).then(
    ({ size }) => size,
    () => undefined,
  )
}

async function removeBlob(
  directory: string,
  { digest, size }: RemovedBlob,
  report: GarbageReport,
  dryRun: boolean,
): Promise<void> {
  if (!dryRun) await unlinkBlob(directory, digest)
  report.removed.push({ digest, size })
  report.removedBytes += size
}

/** Remove a blob; it may be gone already. */
export async function unlinkBlob(directory: string, digest: string): Promise<void> {
  const path = blobPath(directory, digest)
  await unlink(path).catch((error) => {
    if (!isMissing(error)) throw layoutError('remove', path, error)
  })
}

/** What lies under the name of a digest, whatever it is. */
export interface BlobFile extends RemovedBlob {
  path: string
  isFile: boolean
  modifiedMs: number
}

/** All blobs of a layout, in the order of their digests; files of other names are passed over. */
export async function* blobsIn(directory: string): AsyncGenerator<BlobFile> {
  for (const algorithm of ['sha256', 'sha512']) {
    const parent = join(directory, 'blobs', algorithm)
    for (const hex of (await namesIn(parent)).sort()) {
      const digest = `${algorithm}:${hex}`
      if (!isDigest(digest)) continue
      const path = join(parent, hex)
      const found = await lstat(path).catch(() => undefined)
      if (found === undefined) continue
      yield {
        digest,
        path,
        size: found.size,
        isFile: found.isFile(),
        modifiedMs: found.mtimeMs,
      }
    }
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (isMissing(error)) return []
    throw layoutError('read', directory, error)
  }
}
