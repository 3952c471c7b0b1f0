import { parseReference } from '../image/reference.ts'
import { type BlobStorage, memoryStorage } from './blob-storage.ts'
import type { Body } from './body.ts'
import type { TestBlob, TestImage, TestIndex } from './image.ts'

interface Repository {
  /** Digest by tag. */
  tags: Map<string, string>
  manifests: Map<string, TestBlob>
  blobs: Set<string>
}

/** One thing that a repository holds. */
export interface JournalEntry {
  repository: string
  kind: 'tags' | 'manifests' | 'blobs'
  /** A tag or a digest. */
  key: string
  /** The digest of a tag, the media type of a manifest. */
  text: string
}

/** Told of every change of what repositories hold, so as to keep it. */
export interface Journal {
  /** All that is kept. */
  entries(): Iterable<JournalEntry>
  keep(repository: string, kind: JournalEntry['kind'], key: string, text: string): void
  drop(repository: string, kind: JournalEntry['kind'], key: string): void
}

/** What a test registry holds: which repository has which tags, manifests and blobs. */
export class RepositoryStore {
  readonly storage: BlobStorage
  #journal: Journal | undefined
  readonly #repositories = new Map<string, Repository>()

  constructor(storage: BlobStorage = memoryStorage(), journal?: Journal) {
    this.storage = storage
    for (const entry of journal?.entries() ?? []) this.#restore(entry)
    this.#journal = journal
  }

  /** Store an image and all that belongs to it, and let the name stand for it. Returns the digest. */
  add(name: string, image: TestImage | TestIndex): string {
    const { repository, tag } = parseReference(`localhost/${name}`)
    for (const each of image.kind === 'index' ? image.images : [image]) {
      for (const { digest, blob } of each.layers) this.addBlob(repository, digest, blob)
      this.addBlob(repository, each.config.descriptor.digest, each.config.bytes)
      this.putManifest(repository, each.manifest)
    }
    const top = image.kind === 'index' ? image.index : image.manifest
    const { digest } = top.descriptor
    this.putManifest(repository, top)
    if (tag !== undefined) this.putTag(repository, tag, digest)
    return digest
  }

  has(repository: string): boolean {
    return this.#repositories.has(repository)
  }

  names(): string[] {
    return [...this.#repositories.keys()].sort()
  }

  /** A manifest by tag or digest. */
  manifest(repository: string, reference: string): TestBlob | undefined {
    const found = this.#repositories.get(repository)
    return found?.manifests.get(found.tags.get(reference) ?? reference)
  }

  /** All manifests, in the order in which they came. */
  manifests(repository: string): TestBlob[] {
    return [...(this.#repositories.get(repository)?.manifests.values() ?? [])]
  }

  putManifest(repository: string, manifest: TestBlob): void {
    const { digest, mediaType } = manifest.descriptor
    if (this.#journal) this.storage.add(digest, manifest.bytes)
    this.#open(repository).manifests.set(digest, manifest)
    this.#journal?.keep(repository, 'manifests', digest, mediaType)
  }

  /** Delete a manifest and every tag that stands for it. */
  deleteManifest(repository: string, digest: string): boolean {
    const found = this.#repositories.get(repository)
    if (!found?.manifests.delete(digest)) return false
    for (const [tag, target] of found.tags) if (target === digest) this.deleteTag(repository, tag)
    this.#journal?.drop(repository, 'manifests', digest)
    this.#removeUnused(digest)
    return true
  }

  blob(repository: string, digest: string): Body | undefined {
    if (!this.#repositories.get(repository)?.blobs.has(digest)) return undefined
    return this.storage.get(digest)
  }

  /** Whether any repository has the blob. */
  blobAnywhere(digest: string): boolean {
    return [...this.#repositories.values()].some(({ blobs }) => blobs.has(digest))
  }

  addBlob(repository: string, digest: string, bytes: Uint8Array): void {
    this.storage.add(digest, bytes)
    this.linkBlob(repository, digest)
  }

  /** Let a repository have a blob that is in the storage already. */
  linkBlob(repository: string, digest: string): void {
    this.#open(repository).blobs.add(digest)
    this.#journal?.keep(repository, 'blobs', digest, '')
  }

  deleteBlob(repository: string, digest: string): boolean {
    if (!this.#repositories.get(repository)?.blobs.delete(digest)) return false
    this.#journal?.drop(repository, 'blobs', digest)
    this.#removeUnused(digest)
    return true
  }

  /** All tags in ASCII order; undefined if there is no such repository. */
  tags(repository: string): string[] | undefined {
    const found = this.#repositories.get(repository)
    return found && [...found.tags.keys()].sort()
  }

  putTag(repository: string, tag: string, digest: string): void {
    this.#open(repository).tags.set(tag, digest)
    this.#journal?.keep(repository, 'tags', tag, digest)
  }

  deleteTag(repository: string, tag: string): boolean {
    if (!this.#repositories.get(repository)?.tags.delete(tag)) return false
    this.#journal?.drop(repository, 'tags', tag)
    return true
  }

  #restore({ repository, kind, key, text }: JournalEntry): void {
    if (kind === 'tags') this.putTag(repository, key, text)
    if (kind === 'blobs') this.linkBlob(repository, key)
    const bytes = kind === 'manifests' ? this.storage.read(key) : undefined
    if (bytes === undefined) return
    const descriptor = { mediaType: text, digest: key, size: bytes.byteLength }
    this.putManifest(repository, { descriptor, bytes: Buffer.from(bytes) })
  }

  #removeUnused(digest: string): void {
    const used = [...this.#repositories.values()].some(
      ({ blobs, manifests }) => blobs.has(digest) || manifests.has(digest),
    )
    if (!used) this.storage.remove(digest)
  }

  #open(name: string): Repository {
    const made = { tags: new Map(), manifests: new Map(), blobs: new Set<string>() }
    const repository = this.#repositories.get(name) ?? made
    this.#repositories.set(name, repository)
    return repository
  }
}
