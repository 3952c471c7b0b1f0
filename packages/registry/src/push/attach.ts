import { basename } from 'node:path'
import { type BlobSource, bytesSource, fileSource } from '../client/blob-source.ts'
import type { RegistryClient } from '../client/registry-client.ts'
import { forEachLimited } from '../copy/limiter.ts'
import { RegistryError } from '../errors.ts'
import type { Descriptor } from '../image/descriptor.ts'
import { digestOf } from '../image/digest.ts'
import { EMPTY_BLOB, MEDIA_TYPES } from '../image/media-types.ts'
import { parseReference, type Reference, withDigest } from '../image/reference.ts'

/** A file that is attached. */
export interface AttachedFile {
  path: string
  /** Default `application/octet-stream`. */
  mediaType?: string | undefined
  /** What it is called where it is downloaded. Default: its own name. */
  title?: string | undefined
}

/** Options of {@link attach}; what is attached is the layers and the files, in this order. */
export interface AttachOptions {
  client: RegistryClient
  /** What the artifact is, such as `application/spdx+json`. */
  artifactType: string
  layers?: readonly BlobSource[] | undefined
  files?: readonly AttachedFile[] | undefined
  /** Of the artifact. */
  annotations?: Record<string, string> | undefined
  /** Blobs at a time. Default 4. */
  concurrency?: number | undefined
  signal?: AbortSignal | undefined
}

/** What {@link attach} made. */
export interface Attachment {
  /** The artifact's manifest. */
  descriptor: Descriptor
  /** The manifest that it is attached to. */
  subject: Descriptor
}

const TITLE = 'org.opencontainers.image.title'
const MEDIA_TYPE = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$/i

/**
 * Attach an SBOM, a signature or anything else to an image, without changing it: as an artifact whose
 * `subject` it is, so that `client.referrers` lists it. The same again gives the same artifact.
 *
 * Throws `ERR_REGISTRY_NOT_FOUND` if there is no such image. Source: image-spec, manifest.md,
 * "Guidelines for Artifact Usage".
 */
export async function attach(
  reference: Reference | string,
  options: AttachOptions,
): Promise<Attachment> {
  const { client, artifactType, annotations, concurrency = 4, signal } = options
  if (!MEDIA_TYPE.test(artifactType)) throw badType(artifactType)
  const image = typeof reference === 'string' ? parseReference(reference) : reference
  const subject = await describe(client, image, signal)
  const sources = [...(options.layers ?? []), ...(await filesOf(options))]
  const empty = bytesSource(EMPTY_BLOB.bytes, { mediaType: EMPTY_BLOB.mediaType })
  const push = async (source: BlobSource) => {
    await client.pushBlob(image, source, { signal })
  }
  await forEachLimited([empty, ...sources], concurrency, push)
  const layers = sources.length === 0 ? [empty] : sources
  const mediaType = MEDIA_TYPES.ociManifest
  const document = {
    schemaVersion: 2,
    mediaType,
    artifactType,
    config: empty.descriptor,
    layers: layers.map(({ descriptor }) => descriptor),
    subject,
    ...(annotations === undefined ? {} : { annotations }),
  }
  const bytes = Buffer.from(JSON.stringify(document))
  const exact = withDigest(image, digestOf(bytes))
  const { descriptor } = await client.putManifest(exact, { mediaType, bytes }, { signal })
  return { descriptor, subject }
}

async function describe(
  client: RegistryClient,
  image: Reference,
  signal: AbortSignal | undefined,
): Promise<Descriptor> {
  const { mediaType, digest, size } = await client.head(image, { signal })
  if (mediaType !== '' && digest !== undefined && size !== undefined)
    return { mediaType, digest, size }
  return (await client.manifest(image, { signal })).descriptor
}

function filesOf({ files = [], signal }: AttachOptions): Promise<BlobSource[]> {
  return Promise.all(
    files.map(({ path, mediaType, title = basename(path) }) =>
      fileSource(path, {
        annotations: { [TITLE]: title },
        signal,
        ...(mediaType === undefined ? {} : { mediaType }),
      }),
    ),
  )
}

function badType(artifactType: string): RegistryError {
  const message = `"${artifactType}" is not a type that an artifact can have`
  const hint = 'write a media type, such as application/spdx+json'
  return new RegistryError('ERR_REGISTRY_BAD_MANIFEST', message, { actual: artifactType, hint })
}
