import type { Descriptor } from '../image/descriptor.ts'
import { parseReference, type Reference, withDigest } from '../image/reference.ts'
import type { Exchange } from './exchange.ts'
import { fetchManifest, headManifest } from './fetch-manifest.ts'
import { type ListOptions, listCatalog, listTags } from './list-names.ts'
import { listReferrers, type ReferrersCallOptions } from './list-referrers.ts'

/**
 * What a registry lists: the part of {@link RegistryClient} that looks around. Each throws
 * `ERR_REGISTRY_PROTOCOL` where the registry answers something that is no list.
 */
export interface RegistryLists {
  /** The tags of a repository, such as `localhost:5000/team/app`, read page by page as they are asked for. */
  tags(repository: Reference | string, options?: ListOptions): AsyncIterable<string>
  /** The repositories of a registry that tells them. */
  catalog(registry: string, options?: ListOptions): AsyncIterable<string>
  /**
   * The manifests whose `subject` is the one referred to: signatures, SBOMs, attestations. By the
   * registry's own list, else by the referrers tag. A tag is looked up first.
   */
  referrers(reference: Reference, options?: ReferrersCallOptions): AsyncIterable<Descriptor>
}

/** Everything that lists, over one exchange. */
export function createRegistryLists(exchange: Exchange): RegistryLists {
  return {
    tags: (repository, call) => listTags(exchange, asReference(repository), call),
    catalog: (registry, call) => listCatalog(exchange, registry, call),
    referrers: (reference, call) => referrersOf(exchange, reference, call),
  }
}

function asReference(name: Reference | string): Reference {
  return typeof name === 'string' ? parseReference(name) : name
}

async function* referrersOf(
  exchange: Exchange,
  reference: Reference,
  call: ReferrersCallOptions = {},
): AsyncGenerator<Descriptor, void, undefined> {
  const digest =
    reference.digest ??
    (await headManifest(exchange, reference, call)).digest ??
    (await fetchManifest(exchange, reference, call)).descriptor.digest
  yield* listReferrers(exchange, withDigest(reference, digest), call)
}
