/** Every code a {@link PidstoreError} can have; a code is part of the API for ever. */
export const PIDSTORE_ERROR_CODES = [
  /** The id is not `[A-Za-z0-9][A-Za-z0-9_.-]*` of at most 128 bytes. */
  'ERR_PIDSTORE_INVALID_ID',
  /** The pid is not a positive whole number that a process can have. */
  'ERR_PIDSTORE_INVALID_PID',
  /** No process has the pid that was to be recorded. */
  'ERR_PIDSTORE_NO_PROCESS',
  /** A process that still runs, or that only another machine or namespace can judge, holds the id. */
  'ERR_PIDSTORE_EXISTS',
  /** Something that is not a trustworthy record lies where the record would go. */
  'ERR_PIDSTORE_CORRUPT',
  /** Another writer held the id's lock for longer than the store was willing to wait. */
  'ERR_PIDSTORE_BUSY',
  /** The store, or this process's ability to open files, failed while reading; no record is at fault. */
  'ERR_PIDSTORE_READ',
  /** The store could not be changed (disk full, read-only, no permission); what it held is still there. */
  'ERR_PIDSTORE_WRITE',
  /** The process file system that identities are read from is missing, foreign or hides the process. */
  'ERR_PIDSTORE_PROC',
  /** The signal does not exist, or the verified process may not be signalled by this user. */
  'ERR_PIDSTORE_SIGNAL',
] as const

/** One of {@link PIDSTORE_ERROR_CODES}. */
export type PidstoreErrorCode = (typeof PIDSTORE_ERROR_CODES)[number]

/** What a {@link PidstoreError} knows besides its code and message. */
export interface PidstoreErrorDetails {
  /** The record that was asked for. */
  id?: string
  /** The process that was asked for. */
  pid?: number
  /** The file or directory that was worked on. */
  path?: string
  /** What was being done to `path`, one word: `open`, `write`, `fsync`, `rename` … */
  step?: string
  /** What to do next, one sentence. */
  hint?: string
  /** The error of the operating system, where there was one (its `code` is the errno's name). */
  cause?: unknown
}

/** The only error this package throws on purpose; match its `code`, never its message. */
export class PidstoreError extends Error {
  override readonly name = 'PidstoreError'
  readonly code: PidstoreErrorCode
  readonly id: string | undefined
  readonly pid: number | undefined
  readonly path: string | undefined
  readonly step: string | undefined
  readonly hint: string | undefined

  constructor(code: PidstoreErrorCode, message: string, details: PidstoreErrorDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined)
    this.code = code
    this.id = details.id
    this.pid = details.pid
    this.path = details.path
    this.step = details.step
    this.hint = details.hint
  }
}

/** The name of a failed system call's errno (`ENOENT`), or undefined for any other value. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
