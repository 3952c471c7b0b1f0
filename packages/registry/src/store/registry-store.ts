import type { CallOptions, RegistryClient } from '../client/registry-client.ts'
import { isRegistryError, RegistryError } from '../errors.ts'
import type { Descriptor } from '../image/descriptor.ts'
import { isDigest } from '../image/digest.ts'
import { isDocumentType } from '../image/links.ts'
import {
  canonicalName,
  parseReference,
  type Reference,
  repositoryName,
  withDigest,
  withTag,
} from '../image/reference.ts'
import type { ContentName, ContentSource, ContentStore, PutOptions } from './content-store.ts'
import { readSource } from './documents.ts'

/**
 * A repository of a registry as a store.
 *
 * Names are its tags and digests, or references of that repository. What is there needs no second look
 * below it, for registries take no manifest before what it refers to. Throws
 * `ERR_REGISTRY_BAD_REFERENCE` for another repository's name.
 */
export function registryStore(
  client: RegistryClient,
  repository: Reference | string,
): ContentStore {
  const parsed = typeof repository === 'string' ? parseReference(repository) : repository
  const home: Reference = {
    registry: parsed.registry,
    repository: parsed.repository,
    tag: 'latest',
  }
  const at = ({ digest }: Pick<Descriptor, 'digest'>) => withDigest(home, digest)

  async function resolve(
    name: ContentName,
    call: CallOptions = {},
  ): Promise<Descriptor | undefined> {
    const reference = referenceOf(home, name)
    return orUndefined(async () => {
      const { mediaType, digest, size } = await client.head(reference, call)
      if (digest !== undefined && size !== undefined && isDocumentType(mediaType)) {
        return { mediaType, digest, size }
      }
      return (await client.manifest(reference, call)).descriptor
    })
  }

  async function read(
    descriptor: Descriptor,
    call: CallOptions = {},
  ): Promise<Uint8Array | undefined> {
    return orUndefined(async () =>
      isDocumentType(descriptor.mediaType)
        ? (await client.manifest(at(descriptor), { ...call, expected: descriptor })).bytes
        : await client.readBlob(home, descriptor, call),
    )
  }

  return {
    repository: { registry: home.registry, repository: home.repository },
    closed: true,
    resolve,
    read,
    async has(descriptor, call) {
      if (!isDocumentType(descriptor.mediaType)) return client.hasBlob(home, descriptor, call)
      return client.hasManifest(at(descriptor), call)
    },
    async *open(descriptor, offset = 0, signal) {
      if (isDocumentType(descriptor.mediaType)) {
        const bytes = (await client.manifest(at(descriptor), { signal, expected: descriptor }))
          .bytes
        yield bytes.subarray(offset)
      } else {
        yield* client.blobSource(home, descriptor).open(offset, signal)
      }
    },
    async put(source, { signal, from, onProgress }: PutOptions = {}) {
      const { descriptor } = source
      const { mediaType } = descriptor
      if (isDocumentType(mediaType)) {
        const bytes = await readSource(source, signal)
        await client.putManifest(at(descriptor), { mediaType, bytes }, { signal })
        return 'stored'
      }
      const outcome = await client.pushBlob(home, source, {
        signal,
        mountFrom: mountable(home, from),
        ...(onProgress === undefined ? {} : { onProgress }),
      })
      return outcome === 'uploaded' ? 'stored' : outcome
    },
    async tag(name, descriptor, { signal } = {}) {
      const reference = referenceOf(home, name)
      if (reference.tag === undefined) return
      const { mediaType } = descriptor
      const { bytes } = await client.manifest(at(descriptor), { signal, expected: descriptor })
      await client.putManifest(withTag(home, reference.tag), { mediaType, bytes }, { signal })
    },
    async untag(name, call) {
      const deleted = await orUndefined(async () => {
        await client.deleteTag(referenceOf(home, name), call)
        return true
      })
      return deleted ?? false
    },
    names: (call) => listTags(client, home, call),
    referrers: (descriptor, options) => client.referrers(at(descriptor), options),
  }
}

/** Source: distribution-spec, "Referrers Tag Schema". */
const REFERRERS_TAG = /^sha(?:256-[a-f0-9]{64}|512-[a-f0-9]{128})$/

/** A repository that nobody has pushed to has none, and lists of referrers are no names. */
async function* listTags(
  client: RegistryClient,
  home: Reference,
  call: CallOptions | undefined,
): AsyncGenerator<string, void, undefined> {
  try {
    for await (const tag of client.tags(home, call)) if (!REFERRERS_TAG.test(tag)) yield tag
  } catch (error) {
    if (!isRegistryError(error, 'ERR_REGISTRY_NOT_FOUND')) throw error
  }
}

/** Where in the same registry a blob may be taken from. */
function mountable(home: Reference, from: ContentSource | undefined): string[] | undefined {
  const { registry, repository } = from?.repository ?? {}
  return registry === home.registry && repository !== undefined && repository !== home.repository
    ? [repository]
    : undefined
}

function referenceOf(home: Reference, name: ContentName): Reference {
  if (typeof name === 'string') {
    if (isDigest(name)) return withDigest(home, name)
    if (!/[/:@]/.test(name)) return withTag(home, name)
  }
  const reference = typeof name === 'string' ? parseReference(name) : name
  if (repositoryName(reference) === repositoryName(home)) return reference
  throw new RegistryError(
    'ERR_REGISTRY_BAD_REFERENCE',
    `${canonicalName(reference)} is not in the repository ${repositoryName(home)}`,
    { hint: 'name a tag or a digest, or open a store for the other repository' },
  )
}

/** What the registry does not have is no failure here. */
async function orUndefined<T>(action: () => Promise<T>): Promise<T | undefined> {
  try {
    return await action()
  } catch (error) {
    if (isRegistryError(error, 'ERR_REGISTRY_NOT_FOUND')) return undefined
    throw error
  }
}
