import { type ByteString, printable } from './byte-string.ts'
import { RootfsError } from './errors.ts'

/** Upper bounds on what one layer may ask for; exceeding one is `ERR_ROOTFS_LIMIT` and names it. */
export interface Limits {
  /** Entries in the archive. */
  entries: number
  /** Bytes of file content, all files together. */
  bytes: number
  /** Bytes of extended header data (PAX, GNU long names) for one entry. */
  paxBytes: number
  /** Bytes of an entry's whole name or link target (Linux' own PATH_MAX is 4,096). */
  nameBytes: number
  /** Bytes of one component of a name (Linux' own NAME_MAX is 255). */
  componentBytes: number
  /** Directories above an entry, after symlinks were resolved. */
  depth: number
  /** Symlinks followed to find one entry's parent (Linux itself stops at 40). */
  linkHops: number
}

/** What real images stay far below. */
export const DEFAULT_LIMITS: Readonly<Limits> = Object.freeze({
  entries: 4_000_000,
  bytes: 256 * 2 ** 30,
  paxBytes: 2 ** 20,
  nameBytes: 4096,
  componentBytes: 255,
  depth: 512,
  linkHops: 40,
})

/** Throw `ERR_ROOTFS_LIMIT` when `value` is more than `limits[name]`. */
export function enforceLimit(
  limits: Limits,
  name: keyof Limits,
  value: number,
  entry?: ByteString,
): void {
  if (value <= limits[name]) return
  const shown = entry === undefined ? undefined : printable(entry)
  throw new RootfsError(
    'ERR_ROOTFS_LIMIT',
    `cannot unpack the layer: ${name} is limited to ${limits[name]}, and ${shown ?? 'it'} needs ${value}`,
    {
      limit: name,
      ...(shown === undefined ? {} : { entry: shown }),
      hint: `raise limits.${name} if you trust this image`,
    },
  )
}
