import { setTimeout as delay } from 'node:timers/promises'
import { change } from './change.ts'
import { PidstoreError } from './errors.ts'
import { type Locker, lockPath, tryLock } from './lock.ts'

/** How to wait for a lock. */
export interface PatientLocker extends Locker {
  readonly lockTimeoutMs: number
}

/**
 * Runs `work` while holding the lock of an id. Waits for a live holder, who needs milliseconds, at
 * most `lockTimeoutMs`; then throws `ERR_PIDSTORE_BUSY`.
 */
export async function holdLock<T>(
  locker: PatientLocker,
  id: string,
  work: () => Promise<T>,
): Promise<T> {
  const path = lockPath(locker.directory, id)
  const deadline = performance.now() + locker.lockTimeoutMs
  for (;;) {
    const lock = await change({ step: 'lock', path, id }, () => tryLock(locker, id))
    if ('release' in lock) {
      try {
        return await work()
      } finally {
        lock.release()
      }
    }
    if (performance.now() >= deadline) throw busy(id, path, lock.holder)
    await delay(1 + Math.random() * 8)
  }
}

function busy(id: string, path: string, holder: string): PidstoreError {
  return new PidstoreError(
    'ERR_PIDSTORE_BUSY',
    `cannot change the record ${id}: ${holder} is changing it and does not finish`,
    { id, path, step: 'lock', hint: `if nothing is at work on it, remove ${path}` },
  )
}
