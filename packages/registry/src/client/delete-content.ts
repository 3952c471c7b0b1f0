import { isRegistryError, RegistryError } from '../errors.ts'
import { parseDigest } from '../image/digest.ts'
import { familiarName, type Reference, withDigest } from '../image/reference.ts'
import type { Exchange } from './exchange.ts'
import { fetchManifest } from './fetch-manifest.ts'
import { hasReferrersApi } from './list-referrers.ts'
import type { ReferrersTags } from './referrers-tag.ts'
import type { CallOptions } from './registry-client.ts'
import { repositoryScope } from './scope.ts'

/**
 * `DELETE /v2/NAME/manifests/DIGEST`: the manifest, and with it every tag that stands for it.
 *
 * It also leaves the list of its subject's referrers where this client has to keep that.
 */
export async function deleteManifest(
  exchange: Exchange,
  referrersTags: ReferrersTags,
  reference: Reference,
  call: CallOptions = {},
): Promise<void> {
  const { digest } = reference
  if (digest === undefined) throw needsDigest(reference)
  const exact = withDigest(reference, digest)
  const subject = await subjectOf(exchange, exact, call)
  await deletePath(exchange, exact, `manifests/${digest}`, call)
  if (subject === undefined) return
  const target = withDigest(reference, subject)
  if (await hasReferrersApi(exchange, target, call)) return
  await referrersTags.remove(target, digest, call)
}

/** `DELETE /v2/NAME/blobs/DIGEST`. */
export async function deleteBlob(
  exchange: Exchange,
  reference: Reference,
  digest: string,
  call: CallOptions = {},
): Promise<void> {
  parseDigest(digest)
  await deletePath(exchange, withDigest(reference, digest), `blobs/${digest}`, call)
}

/** What became of a `DELETE`. */
export interface Deletion {
  refusal?: RegistryError
  /** Set if it was sent again: what is not there then may have been deleted by the first, whose answer was lost. */
  repeated: boolean
}

async function deletePath(
  exchange: Exchange,
  reference: Reference,
  path: string,
  call: CallOptions,
): Promise<void> {
  const { refusal, repeated } = await tryDelete(exchange, reference, path, call)
  const done = repeated && isRegistryError(refusal, 'ERR_REGISTRY_NOT_FOUND')
  if (refusal !== undefined && !done) throw refusal
}

/**
 * `DELETE` of a path below a repository. A refusal is `ERR_REGISTRY_NOT_FOUND` or `ERR_REGISTRY_UNSUPPORTED`, which is
 * also made of 400, by which registries refuse all deletion; everything else is thrown.
 */
export async function tryDelete(
  exchange: Exchange,
  reference: Reference,
  path: string,
  { signal, onRetry }: CallOptions,
): Promise<Deletion> {
  const { registry, repository } = reference
  let repeated = false
  const name = familiarName(reference)
  try {
    const response = await exchange({
      registry,
      repository,
      path,
      method: 'DELETE',
      scopes: [repositoryScope(reference, 'pull,delete')],
      action: `cannot delete ${name}`,
      reference: name,
      signal,
      onRetry: (retry) => {
        repeated = true
        onRetry?.(retry)
      },
    })
    response.cancel()
    return { repeated }
  } catch (error) {
    if (isRegistryError(error, 'ERR_REGISTRY_NOT_FOUND')) return { refusal: error, repeated }
    const refused = isRegistryError(error) && (error.status === 400 || isUnsupported(error))
    if (refused) return { refusal: notDeletable(error), repeated }
    throw error
  }
}

/** What cannot be read has no subject that this client would have listed. */
async function subjectOf(
  exchange: Exchange,
  reference: Reference,
  call: CallOptions,
): Promise<string | undefined> {
  try {
    const scopes = [repositoryScope(reference, 'pull,delete')]
    const { document } = await fetchManifest(exchange, reference, { ...call, scopes })
    return document.subject?.digest
  } catch (error) {
    const unreadable = [
      'ERR_REGISTRY_BAD_MANIFEST',
      'ERR_REGISTRY_NOT_AN_IMAGE',
      'ERR_REGISTRY_SCHEMA1',
    ]
    if (isRegistryError(error) && [...unreadable, 'ERR_REGISTRY_NOT_FOUND'].includes(error.code)) {
      return undefined
    }
    throw error
  }
}

function isUnsupported(error: RegistryError): boolean {
  return error.code === 'ERR_REGISTRY_UNSUPPORTED'
}

function notDeletable(cause: RegistryError): RegistryError {
  const { host, method, url, status, errors, reference, message } = cause
  return new RegistryError('ERR_REGISTRY_UNSUPPORTED', message, {
    hint: 'the registry, or a setting of it, allows no deletion',
    host,
    method,
    url,
    status,
    errors,
    reference,
    cause,
  })
}

function needsDigest(reference: Reference): RegistryError {
  const name = familiarName(reference)
  const message = `cannot delete the manifest of ${name}: only a digest says which one is meant`
  return new RegistryError('ERR_REGISTRY_BAD_REFERENCE', message, {
    reference: name,
    hint: 'delete the tag, or ask with head() which digest it stands for now',
  })
}
