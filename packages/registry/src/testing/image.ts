import type { Descriptor } from '../image/descriptor.ts'
import { digestOf } from '../image/digest.ts'
import { hostPlatform } from '../image/host-platform.ts'
import type { ImageConfig } from '../image/image-config.ts'
import { MEDIA_TYPES } from '../image/media-types.ts'
import type { Platform } from '../image/platform.ts'
import type { TestLayer } from './layer.ts'

/** A document or blob with its descriptor. */
export interface TestBlob {
  descriptor: Descriptor
  bytes: Buffer
}

/** An image for one platform, ready to be served. */
export interface TestImage {
  kind: 'image'
  manifest: TestBlob
  config: TestBlob
  /** Base layer first. */
  layers: TestLayer[]
  platform: Platform
}

/** Images for several platforms under one name. */
export interface TestIndex {
  kind: 'index'
  index: TestBlob
  images: TestImage[]
}

/** Options of {@link makeImage}. */
export interface ImageOptions {
  /** Base layer first. */
  layers: TestLayer[]
  /** Entrypoint, Cmd, Env, User, WorkingDir, … */
  config?: ImageConfig['config']
  /** Default: this machine's. */
  platform?: Platform
  /** Whose media types the image has. Default `oci`. */
  format?: 'oci' | 'docker'
  /** RFC 3339. Default `2020-01-01T00:00:00Z`. */
  created?: string
  annotations?: Record<string, string>
}

const DOCKER_TYPES: Record<string, string> = {
  [MEDIA_TYPES.ociLayer]: MEDIA_TYPES.dockerLayer,
  [MEDIA_TYPES.ociLayerGzip]: MEDIA_TYPES.dockerLayerGzip,
  [MEDIA_TYPES.ociConfig]: MEDIA_TYPES.dockerConfig,
  [MEDIA_TYPES.ociManifest]: MEDIA_TYPES.dockerManifest,
  [MEDIA_TYPES.ociIndex]: MEDIA_TYPES.dockerIndex,
}

/** Make an image; the same options give the same bytes. */
export function makeImage(options: ImageOptions): TestImage {
  const { layers, platform = hostPlatform(), format = 'oci', annotations } = options
  const typeOf = (mediaType: string) =>
    (format === 'docker' ? DOCKER_TYPES[mediaType] : undefined) ?? mediaType
  const { os, architecture, variant } = platform
  const config = document(typeOf(MEDIA_TYPES.ociConfig), {
    created: options.created ?? '2020-01-01T00:00:00Z',
    architecture,
    os,
    ...(variant === undefined ? {} : { variant }),
    config: options.config ?? {},
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
  })
  const mediaType = typeOf(MEDIA_TYPES.ociManifest)
  const manifest = document(mediaType, {
    schemaVersion: 2,
    mediaType,
    config: config.descriptor,
    layers: layers.map(({ mediaType: type, digest, size }) => ({
      mediaType: typeOf(type),
      digest,
      size,
    })),
    ...(annotations === undefined ? {} : { annotations }),
  })
  return { kind: 'image', manifest, config, layers, platform }
}

/** Put images for several platforms under one index; `extra` adds entries such as attestations as they are. */
export function makeIndex(
  images: TestImage[],
  options: { format?: 'oci' | 'docker'; extra?: Descriptor[] } = {},
): TestIndex {
  const mediaType = options.format === 'docker' ? MEDIA_TYPES.dockerIndex : MEDIA_TYPES.ociIndex
  const entries = images.map(({ manifest, platform }) => ({ ...manifest.descriptor, platform }))
  const manifests = [...entries, ...(options.extra ?? [])]
  return {
    kind: 'index',
    index: document(mediaType, { schemaVersion: 2, mediaType, manifests }),
    images,
  }
}

function document(mediaType: string, value: object): TestBlob {
  const bytes = Buffer.from(JSON.stringify(value))
  return { descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length }, bytes }
}
