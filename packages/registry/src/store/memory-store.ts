import type { Descriptor } from '../image/descriptor.ts'
import { verifyStream } from '../image/digest.ts'
import { checkDocumentSize } from '../image/json-document.ts'
import { familiarName } from '../image/reference.ts'
import type { ContentName, ContentStore } from './content-store.ts'
import { describeDocument, digestInName, notStored, referrerOf } from './documents.ts'

/** A store in memory, for tests and for content that is made on the spot; it grows with what is put into it. */
export function memoryStore(): ContentStore {
  const blobs = new Map<string, Uint8Array>()
  const names = new Map<string, Descriptor>()
  const attached = new Map<string, Map<string, Descriptor>>()

  function bytesOf({ digest, size }: Descriptor): Uint8Array | undefined {
    const bytes = blobs.get(digest)
    return bytes?.byteLength === size ? bytes : undefined
  }

  function resolveDigest(digest: string): Descriptor | undefined {
    const named = [...names.values()].find((descriptor) => descriptor.digest === digest)
    const bytes = blobs.get(digest)
    return named ?? (bytes && describeDocument(bytes, digest))
  }

  return {
    async resolve(name) {
      const digest = digestInName(name)
      return digest === undefined ? names.get(textOf(name)) : resolveDigest(digest)
    },
    has: async (descriptor) => bytesOf(descriptor) !== undefined,
    async read(descriptor) {
      checkDocumentSize(descriptor.size, descriptor.digest)
      return bytesOf(descriptor)
    },
    async *open(descriptor, offset = 0) {
      const bytes = bytesOf(descriptor)
      if (bytes === undefined) throw notStored(descriptor.digest, 'memory')
      if (offset < bytes.byteLength) yield bytes.subarray(offset)
    },
    async put({ descriptor, open }, { signal, onProgress } = {}) {
      if (bytesOf(descriptor) !== undefined) return 'exists'
      const chunks: Uint8Array[] = []
      let received = 0
      for await (const chunk of verifyStream(open(0, signal), descriptor)) {
        chunks.push(chunk)
        received += chunk.byteLength
        onProgress?.(received)
      }
      const bytes = Buffer.concat(chunks)
      const referrer = referrerOf(bytes, descriptor)
      blobs.set(descriptor.digest, bytes)
      if (referrer !== undefined) {
        const { subject } = referrer
        const list = attached.get(subject) ?? new Map<string, Descriptor>()
        attached.set(subject, list.set(descriptor.digest, referrer.descriptor))
      }
      return 'stored'
    },
    async tag(name, descriptor) {
      if (bytesOf(descriptor) === undefined) throw notStored(descriptor.digest, 'memory')
      names.set(textOf(name), descriptor)
    },
    untag: async (name) => names.delete(textOf(name)),
    async *names() {
      yield* names.keys()
    },
    async *referrers({ digest }, { artifactType } = {}) {
      for (const descriptor of attached.get(digest)?.values() ?? []) {
        if (artifactType === undefined || descriptor.artifactType === artifactType) yield descriptor
      }
    },
  }
}

/** Names are kept as they are given; a parsed one in its familiar form. */
function textOf(name: ContentName): string {
  return typeof name === 'string' ? name : familiarName(name)
}
