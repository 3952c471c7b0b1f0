/** Media types by their place in an image; sources: image-spec media-types.md, Docker "Image Manifest V2, Schema 2". */
export const MEDIA_TYPES = {
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociEmpty: 'application/vnd.oci.empty.v1+json',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar',
  ociLayerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  ociLayerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  ociForeignLayerGzip: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
  dockerIndex: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayer: 'application/vnd.docker.image.rootfs.diff.tar',
  dockerLayerGzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  dockerLayerZstd: 'application/vnd.docker.image.rootfs.diff.tar.zstd',
  dockerForeignLayer: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
  schema1: 'application/vnd.docker.distribution.manifest.v1+json',
  schema1Signed: 'application/vnd.docker.distribution.manifest.v1+prettyjws',
} as const

/** The blob that stands where a manifest needs one and has none. Source: image-spec, manifest.md, "Guidance for an Empty Descriptor". */
export const EMPTY_BLOB = {
  mediaType: MEDIA_TYPES.ociEmpty,
  digest: 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a',
  size: 2,
  bytes: new Uint8Array([0x7b, 0x7d]),
}

const INDEXES = new Set<string>([MEDIA_TYPES.ociIndex, MEDIA_TYPES.dockerIndex])
const MANIFESTS = new Set<string>([MEDIA_TYPES.ociManifest, MEDIA_TYPES.dockerManifest])
const CONFIGS = new Set<string>([MEDIA_TYPES.ociConfig, MEDIA_TYPES.dockerConfig])
const SCHEMA1 = new Set<string>([MEDIA_TYPES.schema1, MEDIA_TYPES.schema1Signed])
const LAYER =
  /^application\/vnd\.(?:oci\.image\.layer\.(?:nondistributable\.)?v1\.tar(?:\+gzip|\+zstd)?|docker\.image\.rootfs\.(?:foreign\.)?diff\.tar(?:\.gzip|\.zstd)?)$/

/** What a client that reads images sends as `Accept` for a manifest. */
export const MANIFEST_ACCEPT = [...INDEXES, ...MANIFESTS].join(', ')

/** Whether the type is an image index or a Docker manifest list. */
export function isIndexType(mediaType: string): boolean {
  return INDEXES.has(mediaType)
}

/** Whether the type is an image manifest of OCI or of Docker's schema 2. */
export function isManifestType(mediaType: string): boolean {
  return MANIFESTS.has(mediaType)
}

/** Whether the type is one of Docker's retired schema 1. */
export function isSchema1Type(mediaType: string): boolean {
  return SCHEMA1.has(mediaType)
}

/** Whether the type is the configuration of a container image. */
export function isConfigType(mediaType: string): boolean {
  return CONFIGS.has(mediaType)
}

/** Whether the type is a layer that can be unpacked: tar, plain or compressed by gzip or zstd. */
export function isLayerType(mediaType: string): boolean {
  return LAYER.test(mediaType)
}

/** The OCI type of the same bytes; types without a counterpart are returned as they are. */
export function toOciType(mediaType: string): string {
  const counterparts: Record<string, string> = {
    [MEDIA_TYPES.dockerIndex]: MEDIA_TYPES.ociIndex,
    [MEDIA_TYPES.dockerManifest]: MEDIA_TYPES.ociManifest,
    [MEDIA_TYPES.dockerConfig]: MEDIA_TYPES.ociConfig,
    [MEDIA_TYPES.dockerLayer]: MEDIA_TYPES.ociLayer,
    [MEDIA_TYPES.dockerLayerGzip]: MEDIA_TYPES.ociLayerGzip,
    [MEDIA_TYPES.dockerLayerZstd]: MEDIA_TYPES.ociLayerZstd,
    [MEDIA_TYPES.dockerForeignLayer]: MEDIA_TYPES.ociForeignLayerGzip,
  }
  return counterparts[mediaType] ?? mediaType
}

/** The media type of a Content-Type header: lower case, without parameters. */
export function essence(contentType: string): string {
  return (contentType.split(';', 1)[0] ?? '').trim().toLowerCase()
}
