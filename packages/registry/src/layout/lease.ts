import { randomBytes } from 'node:crypto'
import { open, readdir, readFile, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { isDigest } from '../image/digest.ts'
import type { ContentLease } from '../store/content-store.ts'
import { makePrivateDirectories } from './durable-file.ts'
import { isMissing, layoutError } from './layout-error.ts'
import { waitForIndexLock } from './layout-index.ts'
import { acquireLock, isHeld } from './lock.ts'

const LOCK_SUFFIX = '.lock'

/**
 * Begin a lease: a file with the digests that a writer needs, beside a lock that dies with its process.
 *
 * A writer adds a digest, waits for a collection that may be going on, and only then looks whether the
 * blob is there. A collection takes its lock first and reads the leases then. So either the collection
 * sees the digest, or the writer sees that the blob is gone; there is no order in which neither does.
 */
export async function openLease(directory: string, signal?: AbortSignal): Promise<ContentLease> {
  const path = join(directory, 'leases', randomBytes(8).toString('hex'))
  try {
    await makePrivateDirectories(directory, 'leases')
    const lock = await acquireLock(`${path}${LOCK_SUFFIX}`, { signal })
    const handle = await open(path, 'ax', 0o600).catch(async (error: unknown) => {
      await lock.release()
      throw error
    })
    let held = true
    return {
      async protect(content) {
        const lines = [...content].map(({ digest }) => `${digest}\n`).join('')
        if (lines === '') return
        await handle.appendFile(lines)
        await waitForIndexLock(directory, signal)
      },
      async release() {
        if (!held) return
        held = false
        await handle.close()
        await remove(path)
        await lock.release()
      },
    }
  } catch (error) {
    throw layoutError('lock', path, error)
  }
}

/** All digests under living leases; what dead processes left is removed. To be called with the lock of index.json held. */
export async function readLeases(directory: string): Promise<Set<string>> {
  const leases = join(directory, 'leases')
  const digests = new Set<string>()
  for (const name of await namesIn(leases)) {
    if (!name.endsWith(LOCK_SUFFIX)) continue
    const lock = join(leases, name)
    const path = lock.slice(0, -LOCK_SUFFIX.length)
    if (await isHeld(lock)) {
      for (const line of (await contentOf(path)).split('\n')) if (isDigest(line)) digests.add(line)
    } else {
      await remove(path)
      await remove(lock)
    }
  }
  return digests
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

async function contentOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (isMissing(error)) return ''
    throw error
  }
}

async function remove(path: string): Promise<void> {
  await unlink(path).catch((error) => {
    if (!isMissing(error)) throw error
  })
}
