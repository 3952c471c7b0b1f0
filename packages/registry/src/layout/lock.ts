import { randomBytes } from 'node:crypto'
import { link, open, readFile, stat, unlink, utimes } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { abortedError } from '../abort.ts'
import { RegistryError } from '../errors.ts'
import { isObject } from '../image/json-document.ts'
import { isMissing } from './layout-error.ts'
import { ownIdentity, type ProcessIdentity, processState } from './process-identity.ts'

/** A held lock. */
export interface Lock {
  /** Give it back; idempotent. */
  release(): Promise<void>
}

/** How to wait for a lock. */
export interface LockOptions {
  signal?: AbortSignal | undefined
  /** Give up after this long with `ERR_REGISTRY_LOCKED`. Default: wait for ever. */
  timeoutMs?: number
}

interface Holder extends ProcessIdentity {
  /** Unique to this acquisition. */
  id: string
}

const POLL_MS = 20
const HEARTBEAT_MS = 5_000
/** A holder whose life cannot be checked from here must have shown itself within this time. */
const SILENCE_MS = 30_000

/**
 * Take the lock that the existence of the file `path` is.
 *
 * A holder that died is recognised by pid, start time and boot, and its lock is taken over. Only one
 * process may do so at a time, or a second one would remove the lock of the first: who wants to remove
 * the lock of holder X first takes the lock `path.X`, by the same rules, and looks again.
 * The directory must exist. Throws `ERR_REGISTRY_LOCKED`, `ERR_REGISTRY_ABORTED`.
 */
export async function acquireLock(path: string, options: LockOptions = {}): Promise<Lock> {
  const { signal, timeoutMs = Number.POSITIVE_INFINITY } = options
  const id = randomBytes(6).toString('hex')
  const claim = `${path}.${id}.claim`
  const start = performance.now()
  await writeClaim(claim, { id, ...ownIdentity() })
  try {
    while (!(await tryLink(claim, path))) {
      if (signal?.aborted) throw abortedError(signal)
      const holder = await readHolder(path)
      if (holder === undefined) continue
      if (await isAbandoned(path, claim, holder)) await breakLock(path, holder, options)
      else if (performance.now() - start > timeoutMs) throw locked(path, holder)
      else await sleep(POLL_MS)
    }
  } finally {
    await unlinkIfPresent(claim)
  }
  return heldLock(path, id)
}

/** Run `action` while holding the lock. */
export async function withLock<T>(
  path: string,
  options: LockOptions,
  action: () => Promise<T>,
): Promise<T> {
  const lock = await acquireLock(path, options)
  try {
    return await action()
  } finally {
    await lock.release()
  }
}

/** Whether a living process holds the lock. */
export async function isHeld(path: string): Promise<boolean> {
  const holder = await readHolder(path)
  if (holder === undefined) return false
  const claim = `${path}.${randomBytes(6).toString('hex')}.claim`
  await writeClaim(claim, { id: '', ...ownIdentity() })
  try {
    return !(await isAbandoned(path, claim, holder))
  } finally {
    await unlinkIfPresent(claim)
  }
}

function heldLock(path: string, id: string): Lock {
  let held = true
  const heartbeat = setInterval(() => {
    const now = new Date()
    utimes(path, now, now).catch(() => {})
  }, HEARTBEAT_MS)
  heartbeat.unref()
  return {
    async release() {
      if (!held) return
      held = false
      clearInterval(heartbeat)
      if ((await readHolder(path))?.id === id) await unlinkIfPresent(path)
    },
  }
}

async function breakLock(path: string, holder: Holder, options: LockOptions): Promise<void> {
  await withLock(`${path}.${holder.id}`, options, async () => {
    if ((await readHolder(path))?.id === holder.id) await unlinkIfPresent(path)
  })
}

async function isAbandoned(path: string, claim: string, holder: Holder): Promise<boolean> {
  const state = processState(holder)
  if (state !== 'unknown') return state === 'dead'
  const now = new Date()
  await utimes(claim, now, now)
  // Both times come from the clock of the machine that keeps the files.
  const [beat, reference] = await Promise.all([modified(path), modified(claim)])
  return beat !== undefined && reference !== undefined && reference - beat > SILENCE_MS
}

async function writeClaim(claim: string, holder: Holder): Promise<void> {
  const handle = await open(claim, 'wx', 0o600)
  try {
    await handle.writeFile(JSON.stringify(holder))
  } catch (error) {
    await unlinkIfPresent(claim) // the disk is full
    throw error
  } finally {
    await handle.close()
  }
}

async function tryLink(claim: string, path: string): Promise<boolean> {
  try {
    await link(claim, path)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  }
}

/** Undefined if there is no lock. A file that a crash left empty reads as a holder nobody can check. */
async function readHolder(path: string): Promise<Holder | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
  return parseHolder(text) ?? { id: 'damaged', pid: 0, startTime: '', bootId: '', pidNamespace: '' }
}

function parseHolder(text: string): Holder | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!isObject(value)) return undefined
  const { id, pid, startTime, bootId, pidNamespace } = value
  const valid =
    typeof id === 'string' &&
    /^[0-9a-f]{12}$/.test(id) &&
    typeof pid === 'number' &&
    typeof startTime === 'string' &&
    typeof bootId === 'string' &&
    typeof pidNamespace === 'string'
  return valid ? { id, pid, startTime, bootId, pidNamespace } : undefined
}

async function modified(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mtimeMs
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

async function unlinkIfPresent(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (error) {
    if (!isMissing(error)) throw error
  }
}

function locked(path: string, holder: Holder): RegistryError {
  return new RegistryError(
    'ERR_REGISTRY_LOCKED',
    `cannot lock ${path}: process ${holder.pid} holds it`,
    {
      path,
      hint: `wait for process ${holder.pid} to finish, or stop it`,
    },
  )
}
