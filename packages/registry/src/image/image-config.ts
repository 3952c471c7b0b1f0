import { isDigest } from './digest.ts'
import {
  badDocument,
  isObject,
  type JsonObject,
  optionalString,
  optionalStringMap,
  optionalStrings,
  parseJsonObject,
} from './json-document.ts'

/** The parts of an OCI image configuration that matter to running it. Source: image-spec, config.md. */
export interface ImageConfig {
  architecture: string
  os: string
  variant?: string
  /** RFC 3339. */
  created?: string
  config?: {
    User?: string
    Env?: string[]
    Entrypoint?: string[] | null
    Cmd?: string[] | null
    WorkingDir?: string
    StopSignal?: string
    Labels?: Record<string, string>
    Volumes?: Record<string, object>
    ExposedPorts?: Record<string, object>
  }
  rootfs: {
    type: 'layers'
    /** Digests of the uncompressed layers, base first. */
    diff_ids: string[]
  }
}

/** Check an untrusted image configuration; members nobody reads are dropped. Throws `ERR_REGISTRY_BAD_MANIFEST`. */
export function parseImageConfig(bytes: Uint8Array, what = 'the image configuration'): ImageConfig {
  const document = parseJsonObject(bytes, what)
  const variant = optionalString(document, 'variant', what)
  const created = optionalString(document, 'created', what)
  return {
    architecture: optionalString(document, 'architecture', what) ?? '',
    os: optionalString(document, 'os', what) ?? '',
    ...(variant ? { variant } : {}),
    ...(created === undefined ? {} : { created }),
    config: parseExecution(document['config'], what),
    rootfs: { type: 'layers', diff_ids: parseDiffIds(document, what) },
  }
}

function parseDiffIds(document: JsonObject, what: string): string[] {
  const rootfs = document['rootfs']
  if (!isObject(rootfs)) throw badDocument(what, '"rootfs" is missing')
  if (rootfs['type'] !== 'layers') throw badDocument(what, '"rootfs.type" is not "layers"')
  const ids = optionalStrings(rootfs, 'diff_ids', what) ?? []
  if (!ids.every(isDigest))
    throw badDocument(what, '"rootfs.diff_ids" holds something else than digests')
  return ids
}

function parseExecution(value: unknown, what: string): NonNullable<ImageConfig['config']> {
  if (value === undefined || value === null) return {}
  if (!isObject(value)) throw badDocument(what, '"config" is not an object')
  const members = {
    User: optionalString(value, 'User', what),
    Env: optionalStrings(value, 'Env', what),
    Entrypoint: optionalStrings(value, 'Entrypoint', what),
    Cmd: optionalStrings(value, 'Cmd', what),
    WorkingDir: optionalString(value, 'WorkingDir', what),
    StopSignal: optionalString(value, 'StopSignal', what),
    Labels: optionalStringMap(value, 'Labels', what),
    Volumes: optionalSet(value, 'Volumes', what),
    ExposedPorts: optionalSet(value, 'ExposedPorts', what),
  }
  // Every member is of its type or undefined, and the undefined ones are dropped here.
  return Object.fromEntries(
    Object.entries(members).filter(([, member]) => member !== undefined),
  ) as NonNullable<ImageConfig['config']>
}

/** Go writes a set as an object whose values are empty objects. */
function optionalSet(
  object: JsonObject,
  key: string,
  what: string,
): Record<string, object> | undefined {
  const value = object[key]
  if (value === undefined || value === null) return undefined
  if (!isObject(value)) throw badDocument(what, `"${key}" is not an object`)
  return Object.fromEntries(Object.keys(value).map((name) => [name, {}]))
}
