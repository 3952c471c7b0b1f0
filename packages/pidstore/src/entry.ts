import { errnoOf, PidstoreError } from './errors.ts'
import type { Host } from './host.ts'
import { isRecordId } from './id.ts'
import { judge, type ProcessVerdict } from './identity.ts'
import { MAX_RECORD_BYTES, type ParsedRecord, type PidRecord, parseRecord } from './record.ts'
import { readUntrustedFile } from './small-file.ts'

/** A record and the verdict on its process. */
export type JudgedEntry = {
  id: string
  /** The record's file. */
  path: string
  record: PidRecord
} & ProcessVerdict

/** Something named like a record that must not be believed. */
export interface CorruptEntry {
  state: 'corrupt'
  /** The file's name without `.pid`. Unless it is a valid id it may hold any character. */
  id: string
  path: string
  /** Why it is not believed, one clause in lower case. */
  reason: string
  /** The pid it claims, if any: nothing shows whose it is, so it is for display only. */
  pid?: number
  record?: undefined
}

/**
 * One file of the store: `running` (the very process that was recorded runs), `exited` (it is gone,
 * a zombie, replaced by a later process, or from before a reboot), `elsewhere` (only another
 * machine, pid namespace or user can tell: leave it alone) or `corrupt` (not a trustworthy record).
 */
export type PidEntry = JudgedEntry | CorruptEntry

/** What reading an entry needs to know. */
export interface EntryReader {
  readonly directory: string
  /** Lazy: a store without records needs no /proc. */
  readonly host: () => Host
  readonly trustedOwners: readonly number[]
}

/** The file of a record. */
export function recordPath(directory: string, id: string): string {
  return `${directory}/${id}.pid`
}

/**
 * Reads and judges one record; undefined if there is none. Throws `ERR_PIDSTORE_READ` or
 * `ERR_PIDSTORE_PROC` only for what is not the record's fault.
 */
export function readEntry(reader: EntryReader, id: string): PidEntry | undefined {
  const path = recordPath(reader.directory, id)
  const parsed = readRecord(reader, id, path)
  if (parsed === undefined) return undefined
  if (!('record' in parsed)) return { id, path, state: 'corrupt', ...parsed }
  return { id, path, record: parsed.record, ...judge(parsed.record, reader.host()) }
}

function readRecord(reader: EntryReader, id: string, path: string): ParsedRecord | undefined {
  if (!isRecordId(id)) return { reason: 'its name is not a valid id' }
  try {
    const file = readUntrustedFile(path, MAX_RECORD_BYTES)
    // Whoever may write records decides whom we signal.
    if (!reader.trustedOwners.includes(file.stats.uid)) {
      return { reason: `it belongs to uid ${file.stats.uid}, whose records are not believed` }
    }
    if (file.kind === 'refused') return { reason: `it is ${file.reason}` }
    const parsed = parseRecord(file.text)
    if ('record' in parsed && parsed.record.id !== id) {
      return { reason: `it is the record of ${parsed.record.id}`, pid: parsed.record.pid }
    }
    return parsed
  } catch (error) {
    return explainFailure(path, error)
  }
}

/** Sorts a failed open or read into: no record, a bad record, or a failure of our own (thrown). */
function explainFailure(path: string, cause: unknown): ParsedRecord | undefined {
  const errno = errnoOf(cause)
  switch (errno) {
    case 'ENOENT':
      return undefined
    case 'ELOOP':
      return { reason: 'it is a symbolic link' }
    case 'ENXIO':
    case 'ENODEV':
      return { reason: 'it is not a regular file' }
    case 'EACCES':
    case 'EPERM':
    case 'EIO':
    case 'EISDIR':
    case 'ESTALE':
      return { reason: `it cannot be read (${errno})` }
    default:
      // EMFILE, ENOMEM, ENOTDIR …: says nothing about this record.
      throw new PidstoreError('ERR_PIDSTORE_READ', `cannot read ${path}: ${errno ?? cause}`, {
        path,
        step: 'open',
        cause,
      })
  }
}
