import type { RegistryError } from '../errors.ts'
import type { Descriptor } from '../image/descriptor.ts'
import { verifyBytes } from '../image/digest.ts'
import { type ImageConfig, parseImageConfig } from '../image/image-config.ts'
import { badDocument } from '../image/json-document.ts'
import { assertImage, type ImageManifest } from '../image/manifest.ts'
import type { Platform } from '../image/platform.ts'
import { familiarName, type Reference } from '../image/reference.ts'

/** A layer: the blob, and the digest of what is in it once uncompressed. */
export interface ImageLayer extends Descriptor {
  diffId: string
}

/** An image in a layout. */
export interface StoredImage {
  reference: Reference
  /** The familiar name. */
  name: string
  /** The image manifest in the layout. */
  manifest: Descriptor
  config: ImageConfig
  /** Digest of the configuration; what Docker calls the image id. */
  configDigest: string
  /** Base layer first. */
  layers: ImageLayer[]
  /** Digest of the index or manifest that the name stood for at the registry. */
  resolvedDigest: string
}

/** What {@link assembleImage} puts together. */
export interface ImageParts {
  reference: Reference
  descriptor: Descriptor
  manifest: ImageManifest
  configBytes: Uint8Array
  resolvedDigest: string
}

/**
 * Put an image together from its documents, checking the configuration against the manifest.
 *
 * Throws `ERR_REGISTRY_BAD_MANIFEST`, `ERR_REGISTRY_NOT_AN_IMAGE`, `ERR_REGISTRY_DIGEST_MISMATCH`.
 */
export function assembleImage(parts: ImageParts): StoredImage {
  const { reference, descriptor, manifest, configBytes, resolvedDigest } = parts
  const name = familiarName(reference)
  assertImage(manifest, name)
  verifyBytes(configBytes, manifest.config)
  const config = parseImageConfig(configBytes, `the configuration of ${name}`)
  const { diff_ids: diffIds } = config.rootfs
  if (diffIds.length !== manifest.layers.length) throw layerCountError(name, diffIds, manifest)
  const layers = manifest.layers.map((layer, i) => ({ ...layer, diffId: diffIds[i] ?? '' }))
  const configDigest = manifest.config.digest
  return { reference, name, manifest: descriptor, config, configDigest, layers, resolvedDigest }
}

/** What the image is for: what the index it came from said, else what its configuration says. */
export function platformOf({ manifest, config }: StoredImage): Platform {
  const { os, architecture, variant } = config
  return manifest.platform ?? { os, architecture, ...(variant === undefined ? {} : { variant }) }
}

function layerCountError(name: string, diffIds: string[], manifest: ImageManifest): RegistryError {
  const why = `the manifest has ${manifest.layers.length} layers and the configuration ${diffIds.length}`
  return badDocument(`the image ${name}`, why)
}
