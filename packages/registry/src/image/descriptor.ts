import { isDigest } from './digest.ts'
import {
  badDocument,
  isObject,
  type JsonObject,
  optionalString,
  optionalStringMap,
  optionalStrings,
} from './json-document.ts'
import type { Platform } from './platform.ts'

/** What a blob is: its type, its digest and its size. Source: image-spec, descriptor.md. */
export interface Descriptor {
  mediaType: string
  digest: string
  /** In bytes. */
  size: number
  annotations?: Record<string, string>
  platform?: Platform
  urls?: string[]
  artifactType?: string
  data?: string
}

/** Check an untrusted descriptor. Throws `ERR_REGISTRY_BAD_MANIFEST`; `what` names the document in the message. */
export function parseDescriptor(value: unknown, what: string): Descriptor {
  if (!isObject(value)) throw badDocument(what, 'a descriptor is not an object')
  const { mediaType, digest, size } = value
  if (typeof mediaType !== 'string' || mediaType === '') {
    throw badDocument(what, 'a descriptor has no media type')
  }
  if (!isDigest(digest)) throw badDocument(what, 'a descriptor has no usable digest')
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    throw badDocument(what, `the size of ${digest} is not a whole number`)
  }
  return { mediaType, digest, size, ...optionalParts(value, what) }
}

function optionalParts(value: JsonObject, what: string): Partial<Descriptor> {
  const parts = {
    annotations: optionalStringMap(value, 'annotations', what),
    platform: parsePlatformObject(value['platform'], what),
    urls: optionalStrings(value, 'urls', what),
    artifactType: optionalString(value, 'artifactType', what),
    data: optionalString(value, 'data', what),
  }
  // Every member is of its type or undefined, and the undefined ones are dropped here.
  return definedOnly(parts) as Partial<Descriptor>
}

function parsePlatformObject(value: unknown, what: string): Platform | undefined {
  if (value === undefined || value === null) return undefined
  if (!isObject(value)) throw badDocument(what, 'a platform is not an object')
  const os = optionalString(value, 'os', what) ?? ''
  const architecture = optionalString(value, 'architecture', what) ?? ''
  const rest = {
    variant: optionalString(value, 'variant', what) || undefined,
    'os.version': optionalString(value, 'os.version', what),
    'os.features': optionalStrings(value, 'os.features', what),
  }
  return { os, architecture, ...(definedOnly(rest) as Partial<Platform>) } // as above
}

function definedOnly(object: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined))
}
