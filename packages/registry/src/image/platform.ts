import { RegistryError } from '../errors.ts'
import type { Descriptor } from './descriptor.ts'
import { isIndexType, isManifestType } from './media-types.ts'

export { type HostFacts, hostPlatform } from './host-platform.ts'

/** What an image runs on, in Go's words. Source: image-spec, image-index.md, "platform". */
export interface Platform {
  os: string
  architecture: string
  variant?: string
  'os.version'?: string
  'os.features'?: string[]
}

const ARCHITECTURE_ALIASES: Record<string, [architecture: string, variant?: string]> = {
  x86_64: ['amd64'],
  'x86-64': ['amd64'],
  x64: ['amd64'],
  i386: ['386'],
  i686: ['386'],
  ia32: ['386'],
  aarch64: ['arm64'],
  armhf: ['arm', 'v7'],
  armel: ['arm', 'v6'],
}

/** What a missing variant means; the same processors are named both ways. */
const IMPLIED_VARIANTS: Record<string, string> = { arm: 'v7', arm64: 'v8', amd64: 'v1' }

/**
 * Parse `os/architecture[/variant]`, or an architecture alone for Linux.
 *
 * The names of `uname -m` are understood too. Throws `ERR_REGISTRY_BAD_PLATFORM`.
 */
export function parsePlatform(text: string): Platform {
  const parts = text.split('/')
  const valid = parts.length <= 3 && parts.every((part) => /^[A-Za-z0-9_.-]+$/.test(part))
  const [os = '', architecture = '', variant] = parts.length === 1 ? ['linux', ...parts] : parts
  if (!valid || architecture === '') {
    throw new RegistryError('ERR_REGISTRY_BAD_PLATFORM', `"${text}" is not a platform`, {
      hint: 'write OS/ARCHITECTURE[/VARIANT], such as linux/amd64, linux/arm64 or linux/arm/v7',
    })
  }
  return normalizePlatform({ os, architecture, ...(variant === undefined ? {} : { variant }) })
}

/** The platform as `os/architecture[/variant]`. */
export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant ? [variant] : [])].join('/')
}

/** The platform in lower case and in Go's names, without a variant that the architecture implies. */
export function normalizePlatform(platform: Platform): Platform {
  const { variant: given, ...rest } = platform
  const named = platform.architecture.toLowerCase()
  const [architecture, implied] = ARCHITECTURE_ALIASES[named] ?? [named]
  const variant = withV(given?.toLowerCase()) ?? implied
  const redundant = architecture !== 'arm' && variant === IMPLIED_VARIANTS[architecture]
  return {
    ...rest,
    os: platform.os.toLowerCase(),
    architecture,
    ...(variant === undefined || redundant ? {} : { variant }),
  }
}

/** Whether both name the same platform, in whatever spelling. */
export function isSamePlatform(a: Platform, b: Platform): boolean {
  const [left, right] = [normalizePlatform(a), normalizePlatform(b)]
  return (
    left.os === right.os &&
    left.architecture === right.architecture &&
    variantOf(left) === variantOf(right)
  )
}

/**
 * Whether an image for `available` runs on `wanted`: same system and architecture, and a variant
 * that is not newer (v8 runs v7 and v6, never the reverse).
 */
export function matchesPlatform(wanted: Platform, available: Platform): boolean {
  return rank(wanted, available) !== undefined
}

/**
 * The image manifest (or nested index) to use on a platform: the exact variant, else the newest
 * older one; among equals the first.
 *
 * Attestations and entries for unknown platforms are passed over. Throws `ERR_REGISTRY_NO_PLATFORM`
 * with what is available.
 */
export function selectPlatform(
  index: { manifests: Descriptor[] },
  platform: Platform,
  what = 'the image',
): Descriptor {
  const images = index.manifests.filter(isImage)
  let best: { descriptor: Descriptor; rank: number } | undefined
  for (const descriptor of images) {
    const value = descriptor.platform && rank(platform, descriptor.platform)
    if (value !== undefined && (best === undefined || value > best.rank)) {
      best = { descriptor, rank: value }
    }
  }
  if (best !== undefined) return best.descriptor
  const [only] = images
  // Tools that build for one platform leave it out; the image's configuration is checked later.
  if (only !== undefined && images.length === 1 && only.platform === undefined) return only
  throw noPlatform(what, platform, images)
}

/** The error for an image that has nothing for a platform. */
export function noPlatform(
  what: string,
  wanted: Platform,
  images: Array<{ platform?: Platform }>,
): RegistryError {
  const available = [
    ...new Set(images.flatMap((i) => (i.platform ? [formatPlatform(i.platform)] : []))),
  ]
  const list = available.length === 0 ? 'none' : available.join(', ')
  return new RegistryError(
    'ERR_REGISTRY_NO_PLATFORM',
    `${what} has no image for ${formatPlatform(wanted)}; available: ${list}`,
    {
      available,
      expected: formatPlatform(wanted),
      hint:
        available.length === 0
          ? 'choose another tag'
          : `choose another tag, or ask for one of these platforms, such as ${available[0]}`,
    },
  )
}

function isImage(descriptor: Descriptor): boolean {
  if (!isManifestType(descriptor.mediaType) && !isIndexType(descriptor.mediaType)) return false
  if (descriptor.annotations?.['vnd.docker.reference.type'] !== undefined) return false
  return descriptor.platform?.os !== 'unknown' && descriptor.platform?.architecture !== 'unknown'
}

/** How well an available platform fits: undefined not at all, else the higher the better. */
function rank(wanted: Platform, available: Platform): number | undefined {
  const [want, have] = [normalizePlatform(wanted), normalizePlatform(available)]
  if (want.os !== have.os || want.architecture !== have.architecture) return undefined
  const [wantVariant, haveVariant] = [variantOf(want), variantOf(have)]
  if (wantVariant === haveVariant) return Number.POSITIVE_INFINITY
  const [limit, value] = [level(wantVariant), level(haveVariant)]
  return limit !== undefined && value !== undefined && value < limit ? value : undefined
}

function variantOf({ architecture, variant }: Platform): string | undefined {
  return variant ?? IMPLIED_VARIANTS[architecture]
}

function level(variant: string | undefined): number | undefined {
  const digits = /^v(\d+(?:\.\d+)?)$/.exec(variant ?? '')?.[1]
  return digits === undefined ? undefined : Number(digits)
}

function withV(variant: string | undefined): string | undefined {
  if (!variant) return undefined
  return /^\d/.test(variant) ? `v${variant}` : variant
}
