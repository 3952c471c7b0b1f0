import { createHash } from 'node:crypto'
import { type Duplex, pipeline, Readable } from 'node:stream'
import type { Descriptor } from '../image/descriptor.ts'
import {
  type DigestAlgorithm,
  digestOf,
  isDigest,
  parseDigest,
  verifyBytes,
} from '../image/digest.ts'
import { checkDocumentSize } from '../image/json-document.ts'
import { MEDIA_TYPES } from '../image/media-types.ts'
import { notStored } from '../store/documents.ts'
import { badArchive } from './archive-error.ts'
import { type ArchiveInput, compressionOf, decompressor } from './archive-input.ts'
import { type ArchiveMember, findMember } from './scan-tar.ts'

type Place = ArchiveMember | Uint8Array

/** The blobs of an archive: members that have been given a digest, and documents that are made of them. */
export class ArchiveContents {
  readonly input: ArchiveInput
  readonly members: ReadonlyMap<string, ArchiveMember>
  readonly #places = new Map<string, Place>()

  constructor(input: ArchiveInput, members: ReadonlyMap<string, ArchiveMember>) {
    this.input = input
    this.members = members
    for (const name of members.keys()) {
      const [, algorithm, hex] = /^blobs\/([^/]+)\/([^/]+)$/.exec(name) ?? []
      const digest = `${algorithm}:${hex}`
      const member = isDigest(digest) ? findMember(members, name) : undefined
      if (member !== undefined) this.#places.set(digest, member)
    }
  }

  /** The path of a digest in an archive that holds an OCI layout. */
  static pathOf(digest: string): string {
    const { algorithm, hex } = parseDigest(digest)
    return `blobs/${algorithm}/${hex}`
  }

  sizeOf(digest: string): number | undefined {
    const place = this.#places.get(digest)
    return place instanceof Uint8Array ? place.byteLength : place?.size
  }

  has({ digest, size }: Pick<Descriptor, 'digest' | 'size'>): boolean {
    return this.sizeOf(digest) === size
  }

  /** Add a document that is made up. */
  add(mediaType: string, bytes: Uint8Array): Descriptor {
    const digest = digestOf(bytes)
    this.#places.set(digest, bytes)
    return { mediaType, digest, size: bytes.byteLength }
  }

  /** A document of at most 4 MiB, verified; undefined if it is not there. */
  async read(descriptor: Pick<Descriptor, 'digest' | 'size'>): Promise<Uint8Array | undefined> {
    checkDocumentSize(descriptor.size, descriptor.digest)
    if (!this.has(descriptor)) return undefined
    const chunks: Uint8Array[] = []
    for await (const chunk of this.open(descriptor)) chunks.push(chunk)
    const bytes = Buffer.concat(chunks)
    verifyBytes(bytes, descriptor)
    return bytes
  }

  async *open(
    descriptor: Pick<Descriptor, 'digest' | 'size'>,
    offset = 0,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const place = this.#places.get(descriptor.digest)
    if (place === undefined) throw notStored(descriptor.digest, this.input.path)
    if (place instanceof Uint8Array) {
      if (offset < place.byteLength) yield place.subarray(offset)
    } else if (offset < place.size) {
      yield* this.input.stream(place.offset + offset, place.size - offset, signal)
    }
  }

  /** The content of a member by its name; links are followed. Throws `ERR_REGISTRY_ARCHIVE`, `ERR_REGISTRY_TOO_LARGE`. */
  async readMember(name: string): Promise<Uint8Array> {
    const member = this.member(name)
    checkDocumentSize(member.size, `${name} in ${this.input.path}`)
    const chunks: Uint8Array[] = []
    for await (const chunk of this.input.stream(member.offset, member.size)) chunks.push(chunk)
    return Buffer.concat(chunks)
  }

  member(name: string): ArchiveMember {
    const clean = name
      .split('/')
      .filter((part) => part !== '' && part !== '.')
      .join('/')
    const member = findMember(this.members, clean)
    if (member !== undefined) return member
    throw badArchive(this.input.path, `${JSON.stringify(name.slice(0, 200))} is not in it`)
  }

  /**
   * The layer that a member is. A plain one is what the configuration says, which whoever stores it
   * verifies; a compressed one is read here, since its digest stands nowhere, and must unpack to what
   * the configuration says.
   */
  async addLayer(name: string, diffId: string, signal?: AbortSignal): Promise<Descriptor> {
    const member = this.member(name)
    const { offset, size } = member
    const start = await this.#startOf(member)
    const kind = compressionOf(start)
    if (kind === undefined) {
      this.#places.set(diffId, member)
      return { mediaType: MEDIA_TYPES.ociLayer, digest: diffId, size }
    }
    const output = decompressor(kind)
    if (output === undefined) {
      const hint = 'uncompress it first'
      throw badArchive(this.input.path, `its layer ${name} is compressed by ${kind}`, { hint })
    }
    const { algorithm } = parseDigest(diffId)
    const bytes = this.input.stream(offset, size, signal)
    const { digest, uncompressed } = await digestsOf(bytes, output, algorithm)
    if (uncompressed !== diffId) {
      const why = `its layer ${name} unpacks to ${uncompressed} instead of ${diffId}`
      throw badArchive(this.input.path, why)
    }
    this.#places.set(digest, member)
    const mediaType = kind === 'zstd' ? MEDIA_TYPES.ociLayerZstd : MEDIA_TYPES.ociLayerGzip
    return { mediaType, digest, size }
  }

  async #startOf({ offset, size }: ArchiveMember): Promise<Uint8Array> {
    const chunks: Uint8Array[] = []
    for await (const chunk of this.input.stream(offset, Math.min(size, 6))) chunks.push(chunk)
    return Buffer.concat(chunks)
  }
}

/** The digests of compressed bytes as they are and as what is in them. */
async function digestsOf(
  bytes: AsyncIterable<Uint8Array>,
  output: Duplex,
  algorithm: DigestAlgorithm,
): Promise<{ digest: string; uncompressed: string }> {
  const [outer, inner] = [createHash('sha256'), createHash(algorithm)]
  async function* hashed() {
    for await (const chunk of bytes) {
      outer.update(chunk)
      yield chunk
    }
  }
  pipeline(Readable.from(hashed()), output, () => {}) // its failure is thrown by the iteration
  for await (const chunk of output) inner.update(chunk)
  return {
    digest: `sha256:${outer.digest('hex')}`,
    uncompressed: `${algorithm}:${inner.digest('hex')}`,
  }
}
