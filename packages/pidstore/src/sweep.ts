import { type EntryWriter, temporaryPath } from './create-record.ts'
import { readNames } from './directory.ts'
import { readEntry, recordPath } from './entry.ts'
import { tryLock } from './lock.ts'
import { removeFile } from './remove-file.ts'

// Of a record's id, or of the breaker of a lock (lock.ts).
const LEFTOVER = /^\.([A-Za-z0-9][\w.-]{0,127}|~[\da-f-]{36})\.(?:lock|tmp)$/

/** The ids of the records in a listing of the store's directory, sorted. */
export function recordIds(names: readonly string[]): string[] {
  const ids: string[] = []
  for (const name of names) {
    if (name.endsWith('.pid') && !name.startsWith('.')) ids.push(name.slice(0, -'.pid'.length))
  }
  return ids.sort()
}

/**
 * Removes what dead writers left: locks and temporary files. Whoever holds a lock owns the
 * temporary file of that name, so taking the lock is the proof that both are nobody's.
 */
export function sweepLeftovers(writer: EntryWriter): void {
  const owners = new Set<string>()
  for (const name of readNames(writer.directory)) {
    const owner = LEFTOVER.exec(name)?.[1]
    if (owner !== undefined) owners.add(owner)
  }
  for (const owner of owners) {
    const lock = tryLock(writer, owner)
    if ('holder' in lock) continue // at work, or not ours to judge
    try {
      removeFile(temporaryPath(writer.directory, owner))
    } finally {
      lock.release()
    }
  }
}

/** Removes the records of exited processes and returns their ids; a record that is being replaced is left. */
export function sweepExited(writer: EntryWriter): string[] {
  const removed: string[] = []
  for (const id of recordIds(readNames(writer.directory))) {
    if (readEntry(writer, id)?.state !== 'exited') continue
    const lock = tryLock(writer, id)
    if ('holder' in lock) continue
    try {
      // Again, now that no creator can be replacing it.
      if (readEntry(writer, id)?.state !== 'exited') continue
      if (removeFile(recordPath(writer.directory, id))) removed.push(id)
    } finally {
      lock.release()
    }
  }
  return removed
}
