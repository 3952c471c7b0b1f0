import { change } from './change.ts'
import { createRecord, type EntryWriter } from './create-record.ts'
import { readNames } from './directory.ts'
import { type PidEntry, readEntry, recordPath } from './entry.ts'
import { errnoOf, PidstoreError } from './errors.ts'
import { type Host, type HostOptions, readHost } from './host.ts'
import { assertRecordId, quote } from './id.ts'
import { assertPid, identify, type ProcessIdentity } from './identity.ts'
import type { PidRecord } from './record.ts'
import { removeFile } from './remove-file.ts'
import { recordIds, sweepExited, sweepLeftovers } from './sweep.ts'

/** How a store works; every default is right for a supervisor on its own machine. */
export interface PidStoreOptions extends HostOptions {
  /**
   * Sends a signal to a process whose identity has just been verified; default `process.kill`. One
   * that opens a pidfd, calls `checkProcess(identity)` and sends through the pidfd leaves no race at
   * all. Throws errors with the errno's name as `code`; ESRCH means that the process is gone.
   */
  kill?: (pid: number, signal: NodeJS.Signals | number, identity: ProcessIdentity) => void
  /** User ids whose records are believed; default this process's effective user and root. */
  trustedOwners?: readonly number[]
  /** How long a writer waits for another writer of the same id, in milliseconds; default 10,000. */
  lockTimeoutMs?: number
}

/** Remembers which processes run, in one small file each, and tells live from stale. */
export interface PidStore {
  /** The directory, as it was given to {@link openPidStore}. */
  readonly directory: string
  /**
   * Records a process of this pid namespace under an id. An id whose process has exited is taken
   * over; of several creators of one id exactly one succeeds. When this resolves the record is on disk.
   * Call it while the pid cannot have been recycled: before the process is waited for, if it is a child.
   *
   * Throws `ERR_PIDSTORE_NO_PROCESS`, `_EXISTS`, `_CORRUPT`, `_BUSY`, `_INVALID_ID`, `_INVALID_PID`,
   * `_WRITE`, `_READ`, `_PROC`; whatever it throws, the id's old record is still there.
   */
  create(id: string, process: { pid: number }): Promise<PidRecord>
  /** The entry of an id, judged now; undefined if there is none. Throws `ERR_PIDSTORE_INVALID_ID`, `_READ`, `_PROC`. */
  get(id: string): Promise<PidEntry | undefined>
  /** {@link PidStore.get}, synchronously. */
  getSync(id: string): PidEntry | undefined
  /** All entries, sorted by id, each judged now. No single file can make it throw or wait: `ERR_PIDSTORE_READ`, `_PROC`. */
  list(): Promise<PidEntry[]>
  /** {@link PidStore.list}, synchronously. */
  listSync(): PidEntry[]
  /** Forgets an id, whatever its state; nothing happens if there is none. Throws `ERR_PIDSTORE_INVALID_ID`, `_WRITE`. */
  remove(id: string): Promise<void>
  /**
   * Sends a signal if, and only if, the recorded process is verified to run; 0 only asks. Returns
   * whether it was sent: false for `exited`, `elsewhere`, `corrupt` and unknown ids.
   * Throws `ERR_PIDSTORE_SIGNAL` when the process may not be signalled or the signal does not exist.
   */
  signal(id: string, signal: NodeJS.Signals | number): Promise<boolean>
  /** Removes every exited record, and what killed writers left; returns the ids removed. */
  sweep(): Promise<string[]>
}

/**
 * Opens the store in a directory. Touches nothing yet: the first `create` makes the directory (0700).
 * Synchronous; never throws. A store holds no resources and need not be closed.
 */
export function openPidStore(directory: string, options: PidStoreOptions = {}): PidStore {
  return new DirectoryStore(directory, options)
}

class DirectoryStore implements PidStore {
  readonly directory: string
  readonly #writer: EntryWriter
  readonly #kill: NonNullable<PidStoreOptions['kill']>

  constructor(directory: string, options: PidStoreOptions) {
    this.directory = directory
    this.#kill = options.kill ?? ((pid, signal) => process.kill(pid, signal))
    this.#writer = {
      directory,
      host: once(() => readHost(options)),
      trustedOwners: options.trustedOwners ?? [process.geteuid?.() ?? 0, 0],
      lockTimeoutMs: options.lockTimeoutMs ?? 10_000,
    }
  }

  async create(id: string, { pid }: { pid: number }): Promise<PidRecord> {
    assertRecordId(id)
    assertPid(pid)
    const identity = identify(pid, this.#writer.host())
    if (identity === undefined) {
      throw new PidstoreError(
        'ERR_PIDSTORE_NO_PROCESS',
        `cannot create the record ${id}: no process has pid ${pid}`,
        { id, pid, hint: 'it may have ended already: wait for it and look at its exit status' },
      )
    }
    const record = { id, ...identity }
    await createRecord(this.#writer, record)
    this.#sweepLeftovers()
    return record
  }

  getSync(id: string): PidEntry | undefined {
    assertRecordId(id)
    return readEntry(this.#writer, id)
  }

  listSync(): PidEntry[] {
    const entries: PidEntry[] = []
    for (const id of recordIds(readNames(this.directory))) {
      const entry = readEntry(this.#writer, id)
      if (entry !== undefined) entries.push(entry) // else removed meanwhile
    }
    return entries
  }

  async get(id: string): Promise<PidEntry | undefined> {
    return this.getSync(id)
  }

  async list(): Promise<PidEntry[]> {
    return this.listSync()
  }

  async remove(id: string): Promise<void> {
    assertRecordId(id)
    const path = recordPath(this.directory, id)
    // Not synchronized: a record that a power failure brings back is from before a reboot, so exited.
    await change({ step: 'unlink', path, id }, () => removeFile(path))
  }

  async signal(id: string, signal: NodeJS.Signals | number): Promise<boolean> {
    const entry = this.getSync(id)
    if (entry?.state !== 'running') return false
    const { pid } = entry.record
    // No await since the verdict: what remains is the time between two system calls.
    try {
      this.#kill(pid, signal, entry.record)
      return true
    } catch (cause) {
      if (errnoOf(cause) === 'ESRCH') return false
      throw new PidstoreError(
        'ERR_PIDSTORE_SIGNAL',
        `cannot send ${quote(signal)} to process ${pid} of ${id}: ${errnoOf(cause) ?? cause}`,
        { id, pid, step: 'kill', cause },
      )
    }
  }

  async sweep(): Promise<string[]> {
    const at = { step: 'unlink', path: this.directory }
    return await change(at, () => {
      sweepLeftovers(this.#writer)
      return sweepExited(this.#writer)
    })
  }

  /** On the way of a command that succeeded already: what cannot be swept now is the next one's. */
  #sweepLeftovers(): void {
    try {
      sweepLeftovers(this.#writer)
    } catch {
      // for example a temporary file of another user
    }
  }
}

function once(read: () => Host): () => Host {
  let host: Host | undefined
  return () => {
    host ??= read()
    return host
  }
}
