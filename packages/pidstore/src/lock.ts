import { randomUUID } from 'node:crypto'
import { readlinkSync, symlinkSync, unlinkSync } from 'node:fs'
import { errnoOf } from './errors.ts'
import type { Host } from './host.ts'
import { identify, judge } from './identity.ts'
import { formatRecord, type PidRecord, parseRecord } from './record.ts'

/*
 * A lock that needs no file descriptor, works wherever symlink(2) is atomic (NFS too) and dies with
 * its holder.
 *
 * - A lock is a symbolic link whose *target text* is a record of the process that holds it, under an
 *   id never used again. symlink(2) creates name and content in one step or fails with EEXIST, so a
 *   lock is never seen without its holder.
 * - The lock of a dead holder must be taken away by exactly one process, or a slow one would take
 *   away the next holder's lock. So the right to take away the lock with id X is itself such a lock,
 *   named after X; whoever holds that one looks again whether X still lies there, and only then
 *   unlinks it. Nobody else may, its holder being dead, so it is gone exactly once.
 * - If the breaker dies as well, the same rule applies to its lock, and so on: every level costs a
 *   crash within microseconds.
 */

/** Who is locking, and where. */
export interface Locker {
  readonly directory: string
  readonly host: () => Host
}

/** A lock that was taken; `release` is idempotent and never throws. */
export interface Lock {
  release(): void
}

/** The other outcome: somebody else holds it. */
export interface Busy {
  holder: string
}

/**
 * Takes the lock `.<name>.lock` or says who holds it; never waits. Throws what symlink(2) and
 * readlink(2) fail with, and `ERR_PIDSTORE_PROC`.
 */
export function tryLock(locker: Locker, name: string): Lock | Busy {
  const path = lockPath(locker.directory, name)
  const target = describeSelf(locker.host())
  for (;;) {
    if (createLink(target, path)) return { release: () => remove(path) }
    const found = readLink(path)
    if (found === undefined) continue // released in between
    // An NFS server whose reply was lost lets our own success look like EEXIST.
    if (found === target) return { release: () => remove(path) }
    const holder = parseHolder(found)
    if (holder === undefined) return { holder: `whoever made ${path}` }
    if (judge(holder, locker.host()).state !== 'exited') return { holder: `process ${holder.pid}` }
    const breaker = tryLock(locker, `~${holder.id}`)
    if ('holder' in breaker) return breaker
    try {
      if (readLink(path) === found) unlinkSync(path)
    } finally {
      breaker.release()
    }
  }
}

/** The file of a lock. */
export function lockPath(directory: string, name: string): string {
  return `${directory}/.${name}.lock`
}

function describeSelf(host: Host): string {
  const self = identify(process.pid, host)
  // /proc/self answered when the host was read, so we do exist.
  if (self === undefined) throw new Error(`process ${process.pid} is not in ${host.procDir}`)
  return formatRecord({ id: randomUUID(), ...self })
}

function parseHolder(target: string): PidRecord | undefined {
  const parsed = parseRecord(target)
  return 'record' in parsed ? parsed.record : undefined
}

function createLink(target: string, path: string): boolean {
  try {
    symlinkSync(target, path)
    return true
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false
    throw error
  }
}

/** The target; `''`, which no holder is, for what is not a symbolic link; undefined if nothing is there. */
function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path, 'latin1')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    if (errnoOf(error) === 'EINVAL') return ''
    throw error
  }
}

function remove(path: string): void {
  try {
    unlinkSync(path)
  } catch {
    // Whoever needs the lock next finds that we are gone.
  }
}
