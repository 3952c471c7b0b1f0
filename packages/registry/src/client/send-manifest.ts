import { header } from '../http/response.ts'
import type { HttpResponse } from '../http/transport.ts'
import { assertReference, familiarName, type Reference } from '../image/reference.ts'
import { checkAnnouncedDigest } from './announced-digest.ts'
import type { Exchange } from './exchange.ts'
import type { CallOptions } from './registry-client.ts'
import { repositoryScope } from './scope.ts'

/** A manifest or index on its way to a registry. */
export interface OutgoingManifest {
  mediaType: string
  bytes: Uint8Array
  digest: string
  /** `If-Match`: only if what is there has this entity tag. */
  etag?: string | undefined
  /** Tags that the registry is asked to set as well; old ones do not hear it. */
  askedTags?: readonly string[]
}

/** `PUT /v2/NAME/manifests/REFERENCE`, by digest if the reference has one. The body of the answer is dropped. */
export async function sendManifest(
  exchange: Exchange,
  reference: Reference,
  manifest: OutgoingManifest,
  call: CallOptions = {},
): Promise<HttpResponse> {
  assertReference(reference)
  const { registry, repository, tag, digest } = reference
  const { mediaType, bytes, etag, askedTags = [] } = manifest
  const query = askedTags.map((asked) => `tag=${encodeURIComponent(asked)}`).join('&')
  const name = familiarName(reference)
  const response = await exchange({
    registry,
    repository,
    path: `manifests/${digest ?? tag ?? 'latest'}${query === '' ? '' : `?${query}`}`,
    method: 'PUT',
    headers: { 'content-type': mediaType, ...(etag === undefined ? {} : { 'if-match': etag }) },
    body: bytes,
    scopes: [repositoryScope(reference, 'pull,push')],
    action: `cannot push ${name}`,
    reference: name,
    signal: call.signal,
    onRetry: call.onRetry,
  })
  response.cancel()
  checkAnnouncedDigest(header(response, 'docker-content-digest'), manifest.digest, response)
  return response
}
