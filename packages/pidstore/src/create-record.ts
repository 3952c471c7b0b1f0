import { closeSync, fchmodSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs'
import { change } from './change.ts'
import { makeDirectory, synchronize, synchronizeDirectory } from './directory.ts'
import { type EntryReader, type PidEntry, readEntry, recordPath } from './entry.ts'
import { PidstoreError } from './errors.ts'
import { holdLock, type PatientLocker } from './hold-lock.ts'
import { formatRecord, type PidRecord } from './record.ts'
import { removeFile } from './remove-file.ts'

/** What changing an entry needs to know. */
export type EntryWriter = EntryReader & PatientLocker

/**
 * Publishes a record unless its id is held. Whoever puts a record in place holds the lock of its id
 * from before looking until after the rename, so the second of two creators sees what the first
 * wrote. Readers need no lock: the rename shows them the old file or the new one.
 *
 * A kill at any instant leaves the old state or the new, and besides at most the lock and the
 * temporary file of this id, which are whoever's that takes the lock next.
 */
export async function createRecord(writer: EntryWriter, record: PidRecord): Promise<void> {
  const { id } = record
  const { directory } = writer
  const path = recordPath(directory, id)
  const temporary = temporaryPath(directory, id)

  await change({ step: 'mkdir', path: directory, id }, () => makeDirectory(directory))
  await holdLock(writer, id, async () => {
    assertFree(id, path, readEntry(writer, id))
    try {
      await change({ step: 'write', path: temporary, id }, () =>
        writeDurably(writer, temporary, formatRecord(record)),
      )
      await change({ step: 'rename', path, id }, () => renameSync(temporary, path))
    } catch (error) {
      removeFile(temporary)
      throw error
    }
  })
  await change({ step: 'fsync', path: directory, id }, () => synchronizeDirectory(directory))
}

/** The file that a record is written to before it is renamed; it belongs to the holder of the id's lock. */
export function temporaryPath(directory: string, id: string): string {
  return `${directory}/.${id}.tmp`
}

function assertFree(id: string, path: string, entry: PidEntry | undefined): void {
  if (entry === undefined || entry.state === 'exited') return
  if (entry.state === 'corrupt') {
    throw new PidstoreError(
      'ERR_PIDSTORE_CORRUPT',
      `cannot create the record ${id}: a file is in its place that is no record, because ${entry.reason}`,
      { id, path, hint: `look at ${path}, then remove it` },
    )
  }
  const { pid } = entry.record
  const holder = entry.state === 'running' ? `process ${pid} holds it` : entry.reason
  throw new PidstoreError('ERR_PIDSTORE_EXISTS', `cannot create the record ${id}: ${holder}`, {
    id,
    pid,
    path,
    hint: 'choose another id, or stop what holds this one',
  })
}

async function writeDurably(writer: EntryWriter, path: string, text: string): Promise<void> {
  // A dead writer's. Unlinked, never truncated: what it names may be in use under another name.
  removeFile(path)
  const fd = openSync(path, 'wx', 0o600)
  try {
    fchmodSync(fd, 0o600) // whatever the umask
    assertOwnerKept(writer, path, fstatSync(fd).uid)
    writeFully(fd, text)
    await synchronize(fd)
  } finally {
    closeSync(fd)
  }
}

function writeFully(fd: number, text: string): void {
  const bytes = Buffer.from(text, 'latin1')
  let written = 0
  while (written < bytes.length) written += writeSync(fd, bytes, written)
}

/** On file servers that change owners (root_squash, uid= mounts) a record would not be believed later. */
function assertOwnerKept(writer: EntryWriter, path: string, uid: number): void {
  if (writer.trustedOwners.includes(uid)) return
  throw new PidstoreError(
    'ERR_PIDSTORE_WRITE',
    `cannot keep records in ${writer.directory}: its file system gives our files to uid ${uid}`,
    { path, step: 'write', hint: `use another directory, or add ${uid} to trustedOwners` },
  )
}
