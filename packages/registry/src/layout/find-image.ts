import { isRegistryError } from '../errors.ts'
import type { Descriptor } from '../image/descriptor.ts'
import { hostPlatform } from '../image/host-platform.ts'
import { type ImageManifest, parseManifest } from '../image/manifest.ts'
import { matchesPlatform, type Platform, selectPlatform } from '../image/platform.ts'
import { canonicalName, type Reference, repositoryName } from '../image/reference.ts'
import { blobPath, readBlob } from './blob-files.ts'
import {
  ANNOTATIONS,
  entryReference,
  namelessDescriptor,
  readIndexEntries,
} from './layout-index.ts'
import { assembleImage, platformOf, type StoredImage } from './stored-image.ts'

const MAX_INDEX_DEPTH = 3

/** The image of a name on a platform; see `ImageLayout.find`. */
export function findImage(
  directory: string,
  reference: Reference,
  platform: Platform | undefined,
): StoredImage | undefined {
  const entry = findEntry(directory, reference)
  if (entry === undefined) return undefined
  const resolvedDigest = entry.annotations?.[ANNOTATIONS.resolvedDigest] ?? entry.digest
  const found = readImageManifest(directory, namelessDescriptor(entry), platform ?? hostPlatform())
  const configBytes = found && readBlob(directory, found.manifest.config)
  if (found === undefined || configBytes === undefined) return undefined
  const image = assembleImage({ reference, ...found, configBytes, resolvedDigest })
  return platform === undefined || matchesPlatform(platform, platformOf(image)) ? image : undefined
}

/** The entry of exactly this name; for a digest, any entry of the repository that has it. */
export function findEntry(directory: string, reference: Reference): Descriptor | undefined {
  const entries = readIndexEntries(directory)
  const wanted = canonicalName(reference)
  const named = entries.findLast((entry) => {
    const name = entryReference(entry)
    return name !== undefined && canonicalName(name) === wanted
  })
  if (named !== undefined || reference.digest === undefined) return named
  return entries.findLast((entry) => {
    const name = entryReference(entry)
    if (name === undefined || repositoryName(name) !== repositoryName(reference)) return false
    const digests = [entry.digest, entry.annotations?.[ANNOTATIONS.resolvedDigest]]
    return digests.includes(reference.digest)
  })
}

/** A name may stand for an index; then the platform decides here. */
function readImageManifest(
  directory: string,
  entry: Descriptor,
  platform: Platform,
): { descriptor: Descriptor; manifest: ImageManifest } | undefined {
  let descriptor = entry
  for (let depth = 0; depth < MAX_INDEX_DEPTH; depth++) {
    const bytes = readBlob(directory, descriptor)
    if (bytes === undefined) return undefined
    const what = blobPath(directory, descriptor.digest)
    const document = parseManifest(bytes, descriptor.mediaType, what)
    if (document.kind === 'manifest') return { descriptor, manifest: document }
    try {
      descriptor = selectPlatform(document, platform)
    } catch (error) {
      if (isRegistryError(error, 'ERR_REGISTRY_NO_PLATFORM')) return undefined
      throw error
    }
  }
  return undefined
}
