/** Every code a {@link RootfsError} can carry. A code is API for ever; docs/errors.md lists them. */
export const ROOTFS_ERROR_CODES = [
  /** The archive or its compressed stream ends in the middle of something. */
  'ERR_ROOTFS_TAR_TRUNCATED',
  /** A tar header's checksum does not match its bytes. */
  'ERR_ROOTFS_TAR_CHECKSUM',
  /** There is no tar header where one has to be. */
  'ERR_ROOTFS_TAR_DESYNC',
  /** A tar header or one of its PAX records breaks the format's rules. */
  'ERR_ROOTFS_TAR_INVALID',
  /** A kind of entry, or a compression, that this version does not read or cannot express. */
  'ERR_ROOTFS_UNSUPPORTED',
  /** The compressed stream is damaged. */
  'ERR_ROOTFS_COMPRESSION',
  /** The uncompressed bytes are not those that the diffID names. */
  'ERR_ROOTFS_DIFFID',
  /** An entry that no layer may contain, such as a root directory that is a symlink. */
  'ERR_ROOTFS_ENTRY',
  /** A whiteout that names nothing, `.` or `..`, or a path through a whiteout. */
  'ERR_ROOTFS_WHITEOUT',
  /** A hard link to something that is not there, or to a directory. */
  'ERR_ROOTFS_LINK_TARGET',
  /** An entry below a path that is not a directory. */
  'ERR_ROOTFS_NOT_DIRECTORY',
  /** One of the limits was exceeded; `limit` says which. */
  'ERR_ROOTFS_LIMIT',
  /** The entry's owner cannot be given to a file here. */
  'ERR_ROOTFS_OWNERSHIP',
  /** A layer's bytes or an unpacked file could not be read. */
  'ERR_ROOTFS_READ',
  /** A file, link or directory could not be made, changed or removed. */
  'ERR_ROOTFS_WRITE',
] as const

/** One of {@link ROOTFS_ERROR_CODES}. */
export type RootfsErrorCode = (typeof ROOTFS_ERROR_CODES)[number]

/** What a {@link RootfsError} says beside its message. */
export interface RootfsErrorDetails {
  /** The name of the archive entry, with bytes that cannot be printed escaped. */
  entry?: string
  /** The file or directory on this host that is concerned. */
  path?: string
  /** The limit that was exceeded, with `ERR_ROOTFS_LIMIT`. */
  limit?: string
  /** What to do next. */
  hint?: string
  /** What the operating system or a library said. */
  cause?: unknown
}

/** The only kind of error that this package throws of its own accord (an abort throws the signal's reason). */
export class RootfsError extends Error {
  override readonly name = 'RootfsError'
  readonly code: RootfsErrorCode
  readonly entry: string | undefined
  readonly path: string | undefined
  readonly limit: string | undefined
  readonly hint: string | undefined

  constructor(code: RootfsErrorCode, message: string, details: RootfsErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.entry = details.entry
    this.path = details.path
    this.limit = details.limit
    this.hint = details.hint
  }
}

/** The `code` of a system error (`ENOENT`, …), or undefined for anything else. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined
}
