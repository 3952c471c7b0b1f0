import { parseReference } from '../image/reference.ts'
import type { TestBlob, TestImage, TestIndex } from './image.ts'

interface Repository {
  /** Digest by tag. */
  tags: Map<string, string>
  manifests: Map<string, TestBlob>
  blobs: Map<string, Uint8Array>
}

/** What a test registry holds, all in memory. */
export class RepositoryStore {
  readonly #repositories = new Map<string, Repository>()

  /** Store an image and all that belongs to it, and let the name stand for it. Returns the digest. */
  add(name: string, image: TestImage | TestIndex): string {
    const { repository: path, tag } = parseReference(`localhost/${name}`)
    const repository = this.#open(path)
    for (const each of image.kind === 'index' ? image.images : [image]) {
      repository.manifests.set(each.manifest.descriptor.digest, each.manifest)
      repository.blobs.set(each.config.descriptor.digest, each.config.bytes)
      for (const layer of each.layers) repository.blobs.set(layer.digest, layer.blob)
    }
    const top = image.kind === 'index' ? image.index : image.manifest
    const { digest } = top.descriptor
    repository.manifests.set(digest, top)
    if (tag !== undefined) repository.tags.set(tag, digest)
    return digest
  }

  /** A manifest by tag or digest. */
  manifest(repository: string, reference: string): TestBlob | undefined {
    const found = this.#repositories.get(repository)
    return found?.manifests.get(found.tags.get(reference) ?? reference)
  }

  blob(repository: string, digest: string): Uint8Array | undefined {
    return this.#repositories.get(repository)?.blobs.get(digest)
  }

  tags(repository: string): string[] | undefined {
    const found = this.#repositories.get(repository)
    return found && [...found.tags.keys()].sort()
  }

  #open(name: string): Repository {
    const made = { tags: new Map(), manifests: new Map(), blobs: new Map() }
    const repository = this.#repositories.get(name) ?? made
    this.#repositories.set(name, repository)
    return repository
  }
}
