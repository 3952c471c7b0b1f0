import { createHash, type Hash, randomBytes, randomUUID } from 'node:crypto'
import { type DigestAlgorithm, parseDigest } from '../image/digest.ts'
import type { BlobStorage, UploadFile } from './blob-storage.ts'

/** The uploads that are under way. */
export class Uploads {
  readonly #storage: BlobStorage
  readonly #sessions = new Map<string, UploadSession>()

  constructor(storage: BlobStorage) {
    this.#storage = storage
  }

  /** How many there are. */
  get count(): number {
    return this.#sessions.size
  }

  start(repository: string, algorithm: DigestAlgorithm = 'sha256'): UploadSession {
    const id = randomUUID()
    const session = new UploadSession(id, repository, this.#storage.createUpload(id), algorithm)
    this.#sessions.set(id, session)
    return session
  }

  find(repository: string, id: string): UploadSession | undefined {
    const session = this.#sessions.get(id)
    return session?.repository === repository ? session : undefined
  }

  /** Let go of a session; its bytes are thrown away unless they were committed. */
  async end(session: UploadSession): Promise<void> {
    this.#sessions.delete(session.id)
    await session.file.discard()
  }

  /** Forget every session. */
  async clear(): Promise<void> {
    await Promise.all([...this.#sessions.values()].map((session) => this.end(session)))
  }
}

/** One upload of a blob, in as many requests as the client likes. */
export class UploadSession {
  readonly id: string
  readonly repository: string
  readonly file: UploadFile
  /** What every request of the session has to carry in its URL, as some registries want it. */
  readonly state = randomBytes(12).toString('base64url')
  readonly #algorithm: DigestAlgorithm
  readonly #hash: Hash
  /** The size of the chunk that was taken last. */
  lastChunkBytes: number | undefined
  #turn: Promise<unknown> = Promise.resolve()

  constructor(id: string, repository: string, file: UploadFile, algorithm: DigestAlgorithm) {
    this.id = id
    this.repository = repository
    this.file = file
    this.#algorithm = algorithm
    this.#hash = createHash(algorithm)
  }

  /** Run `action` when the requests that came before have had their turn. */
  inTurn<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(action)
    this.#turn = result.catch(() => undefined)
    return result
  }

  /** Append what comes; what came before an error stays. Resolves to the number of bytes. */
  async append(source: AsyncIterable<Uint8Array>): Promise<number> {
    const before = this.file.size
    for await (const chunk of source) {
      this.#hash.update(chunk)
      await this.file.append(chunk)
    }
    return this.file.size - before
  }

  /** Whether what was appended has this digest. */
  async matches(digest: string): Promise<boolean> {
    const { algorithm, hex } = parseDigest(digest)
    if (algorithm === this.#algorithm) return this.#hash.copy().digest('hex') === hex
    const hash = createHash(algorithm)
    for await (const chunk of this.file.open(0, this.file.size)) hash.update(chunk)
    return hash.digest('hex') === hex
  }
}
