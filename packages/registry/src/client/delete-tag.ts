import { randomBytes, randomUUID } from 'node:crypto'
import { isRegistryError, RegistryError } from '../errors.ts'
import { digestOf } from '../image/digest.ts'
import { EMPTY_BLOB, MEDIA_TYPES } from '../image/media-types.ts'
import { familiarName, type Reference, withDigest, withTag } from '../image/reference.ts'
import { bytesSource } from './blob-source.ts'
import { tryDelete } from './delete-content.ts'
import type { Exchange } from './exchange.ts'
import { type FetchedManifest, fetchManifest, headManifest } from './fetch-manifest.ts'
import { pushBlob } from './push-blob.ts'
import type { CallOptions } from './registry-client.ts'
import { repositoryScope } from './scope.ts'
import { sendManifest } from './send-manifest.ts'

/** Options of {@link RegistryWrites.deleteTag}. */
export interface DeleteTagOptions extends CallOptions {
  /**
   * Whether a registry that cannot delete tags may be led to it: the tag is given to a manifest made
   * for this, which is then deleted. For a moment the tag stands for that. Default true.
   */
  standIn?: boolean | undefined
}

/**
 * `DELETE /v2/NAME/manifests/TAG`: the tag, and never what it stands for.
 *
 * Throws `ERR_REGISTRY_UNSUPPORTED` where neither this nor a stand-in works; the tag is then as it was.
 */
export async function deleteTag(
  exchange: Exchange,
  reference: Reference,
  { standIn = true, ...call }: DeleteTagOptions = {},
): Promise<void> {
  const { tag, digest } = reference
  if (tag === undefined || digest !== undefined) throw needsTag(reference)
  withTag(reference, tag) // throws unless it is one
  const { refusal, repeated } = await tryDelete(exchange, reference, `manifests/${tag}`, call)
  if (refusal === undefined) return
  // Some say of a tag that is there that it is not: they look for a digest.
  const missing = refusal.code === 'ERR_REGISTRY_NOT_FOUND'
  if (missing && !(await isThere(exchange, reference, call))) {
    if (repeated) return
    throw refusal
  }
  if (!standIn) throw unsupported(reference, refusal)
  await deleteByStandIn(exchange, reference, call)
}

async function deleteByStandIn(
  exchange: Exchange,
  reference: Reference,
  call: CallOptions,
): Promise<void> {
  const original = await fetchManifest(exchange, reference, {
    ...call,
    scopes: scopesOf(reference),
  })
  await checkDeletion(exchange, reference, call)
  await pushBlob(exchange, reference, bytesSource(EMPTY_BLOB.bytes), call)
  const manifest = standInManifest()
  // From here on the tag stands for something made up: this is brought to an end whatever the signal says.
  await sendManifest(exchange, reference, manifest)
  const path = `manifests/${manifest.digest}`
  const target = withDigest(reference, manifest.digest)
  const { refusal } = await tryDelete(exchange, target, path, {}).catch(async (error: unknown) => {
    await restore(exchange, reference, original)
    throw error
  })
  const left = await digestAt(exchange, reference)
  if (left === undefined || (left !== manifest.digest && refusal === undefined)) return
  await restore(exchange, reference, original)
  throw unsupported(reference, refusal)
}

/** A digest that nobody has: 404 says that manifests can be deleted, and the other answers that they cannot. */
async function checkDeletion(
  exchange: Exchange,
  reference: Reference,
  call: CallOptions,
): Promise<void> {
  const nobodys = digestOf(randomBytes(32))
  const probe = withDigest(reference, nobodys)
  const { refusal } = await tryDelete(exchange, probe, `manifests/${nobodys}`, call)
  if (refusal?.code === 'ERR_REGISTRY_UNSUPPORTED') throw unsupported(reference, refusal)
}

function standInManifest() {
  const { mediaType, digest, size } = EMPTY_BLOB
  const blob = { mediaType, digest, size }
  const document = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociManifest,
    artifactType: 'application/vnd.cromwell.stand-in',
    config: blob,
    layers: [blob],
    annotations: { 'vnd.cromwell.stand-in': randomUUID() },
  }
  const bytes = Buffer.from(JSON.stringify(document))
  return { mediaType: document.mediaType, bytes, digest: digestOf(bytes) }
}

async function restore(
  exchange: Exchange,
  reference: Reference,
  { bytes, descriptor: { mediaType, digest } }: FetchedManifest,
): Promise<void> {
  try {
    await sendManifest(exchange, reference, { mediaType, bytes, digest })
  } catch (cause) {
    const name = familiarName(reference)
    const message = `${name} could not be deleted, and then not be given back to ${digest}`
    throw new RegistryError('ERR_REGISTRY_UNSUPPORTED', message, {
      reference: name,
      expected: digest,
      hint: 'push the manifest of this digest to the tag again',
      cause,
    })
  }
}

async function isThere(
  exchange: Exchange,
  reference: Reference,
  call: CallOptions,
): Promise<boolean> {
  try {
    await headManifest(exchange, reference, { ...call, scopes: scopesOf(reference) })
    return true
  } catch (error) {
    if (isRegistryError(error, 'ERR_REGISTRY_NOT_FOUND')) return false
    throw error
  }
}

/** What the tag stands for; undefined if it is gone. */
async function digestAt(exchange: Exchange, reference: Reference): Promise<string | undefined> {
  try {
    const found = await fetchManifest(exchange, reference, { scopes: scopesOf(reference) })
    return found.descriptor.digest
  } catch (error) {
    if (isRegistryError(error, 'ERR_REGISTRY_NOT_FOUND')) return undefined
    throw error
  }
}

function scopesOf(reference: Reference): string[] {
  return [repositoryScope(reference, 'pull,push')]
}

function unsupported(reference: Reference, cause: RegistryError | undefined): RegistryError {
  const name = familiarName(reference)
  const { host, method, url, status, errors } = cause ?? {}
  const message = `cannot delete the tag ${name}: the registry deletes no tags`
  return new RegistryError('ERR_REGISTRY_UNSUPPORTED', message, {
    reference: name,
    host,
    method,
    url,
    status,
    errors,
    hint: 'deleteManifest() deletes what it stands for, with all its tags, if the registry allows that',
    cause,
  })
}

function needsTag(reference: Reference): RegistryError {
  const name = familiarName(reference)
  const message = `cannot delete the tag ${name}: it has to be a tag, and without a digest`
  return new RegistryError('ERR_REGISTRY_BAD_REFERENCE', message, {
    reference: name,
    hint: `write ${familiarName(withTag(reference, reference.tag ?? 'TAG'))}`,
  })
}
