import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type Expectation, Verifier } from '../image/digest.ts'
import { hasSize } from './blob-files.ts'
import { makePrivateDirectories, renameDurably } from './durable-file.ts'
import { layoutError } from './layout-error.ts'
import { acquireLock, type Lock } from './lock.ts'
import { withoutFirst } from './pieces.ts'

/** Where a blob grows, and where it goes once it is proven. */
export interface IngestPaths {
  partial: string
  final: string
}

/** Bytes are gathered up to this size before they are written. */
const WRITE_BYTES = 512 * 1024
/** The system takes no more than 1024 in one call. */
const MAX_PIECES = 512
const READ_BYTES = 1024 * 1024
const OPEN_FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW

/**
 * A blob on its way into the layout; one process at a time holds it.
 *
 * What was written survives `close()`, this process and the machine, and the next ingest of the same
 * blob continues there. Nothing gets the blob's final name before size and digest are proven.
 */
export class BlobIngest {
  readonly #paths: IngestPaths
  readonly #handle: FileHandle
  readonly #lock: Lock
  readonly #verifier: Verifier
  #pending: Uint8Array[] = []
  #pendingBytes = 0
  #written = 0
  /** What is being written meanwhile: never more than one portion, so that memory holds two. */
  #writing: Promise<void> = Promise.resolve()
  #closed = false

  private constructor(paths: IngestPaths, handle: FileHandle, lock: Lock, verifier: Verifier) {
    this.#paths = paths
    this.#handle = handle
    this.#lock = lock
    this.#verifier = verifier
  }

  /**
   * Wait for whoever is fetching the same blob, then take it over.
   *
   * Undefined if the blob is complete by then. Throws `ERR_REGISTRY_ABORTED`, `ERR_REGISTRY_LAYOUT`.
   */
  static async open(
    paths: IngestPaths,
    expected: Expectation,
    signal?: AbortSignal,
  ): Promise<BlobIngest | undefined> {
    const verifier = new Verifier(expected)
    const lock = await lockPartial(paths, signal)
    let handle: FileHandle | undefined
    try {
      if (await hasSize(paths.final, expected.size)) {
        await lock.release()
        return undefined
      }
      handle = await open(paths.partial, OPEN_FLAGS, 0o600)
      const ingest = new BlobIngest(paths, handle, lock, verifier)
      await ingest.#readBack(expected.size)
      return ingest
    } catch (error) {
      await handle?.close().catch(() => {})
      await lock.release()
      throw layoutError('open', paths.partial, error)
    }
  }

  /** How many bytes are there, this run's and earlier ones': where to continue. */
  get offset(): number {
    return this.#verifier.size
  }

  /** Add the next bytes. Throws `ERR_REGISTRY_SIZE_MISMATCH` on the first one too many. */
  async write(chunk: Uint8Array): Promise<void> {
    this.#verifier.update(chunk)
    this.#pending.push(chunk)
    this.#pendingBytes += chunk.byteLength
    if (this.#pendingBytes < WRITE_BYTES) return
    await this.#writing
    this.#writing = this.#writePending()
    this.#writing.catch(() => {}) // whoever waits for it next is told
  }

  /** Throw away what is there and begin at zero. */
  async restart(): Promise<void> {
    await this.#writing
    this.#pending = []
    this.#pendingBytes = 0
    this.#written = 0
    this.#verifier.reset()
    await this.#handle.truncate(0)
  }

  /** Prove the blob and give it its final name. Throws `ERR_REGISTRY_DIGEST_MISMATCH`, `ERR_REGISTRY_SIZE_MISMATCH`. */
  async commit(): Promise<void> {
    this.#verifier.finish()
    await this.#flush()
    try {
      await this.#handle.sync()
      await renameDurably(this.#paths.partial, this.#paths.final)
    } catch (error) {
      throw layoutError('write', this.#paths.final, error)
    }
  }

  /** Let go; without a commit before, the bytes stay for the next attempt. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    try {
      await this.#flush()
    } finally {
      await this.#handle.close()
      await this.#lock.release()
    }
  }

  async #flush(): Promise<void> {
    await this.#writing
    await this.#writePending()
  }

  async #writePending(): Promise<void> {
    let left = this.#pending.length > MAX_PIECES ? [Buffer.concat(this.#pending)] : this.#pending
    this.#pending = []
    this.#pendingBytes = 0
    try {
      while (left.length > 0) {
        const { bytesWritten } = await this.#handle.writev(left, this.#written)
        this.#written += bytesWritten
        left = withoutFirst(left, bytesWritten)
      }
    } catch (error) {
      throw layoutError('write', this.#paths.partial, error)
    }
  }

  /** Hash what an earlier attempt left; more than there can be is garbage. */
  async #readBack(size: number): Promise<void> {
    const found = (await this.#handle.stat()).size
    if (found > size) return this.restart()
    const buffer = Buffer.allocUnsafe(READ_BYTES)
    while (this.#written < found) {
      const { bytesRead } = await this.#handle.read(buffer, 0, buffer.length, this.#written)
      if (bytesRead === 0) break
      this.#verifier.update(buffer.subarray(0, bytesRead))
      this.#written += bytesRead
    }
  }
}

async function lockPartial(paths: IngestPaths, signal?: AbortSignal): Promise<Lock> {
  try {
    await makePrivateDirectories(dirname(paths.partial))
    await makePrivateDirectories(dirname(paths.final))
    return await acquireLock(`${paths.partial}.lock`, { signal })
  } catch (error) {
    throw layoutError('lock', paths.partial, error)
  }
}
