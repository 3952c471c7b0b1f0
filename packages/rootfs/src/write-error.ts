import { type ByteString, printable } from './byte-string.ts'
import { errnoOf, RootfsError } from './errors.ts'

const HINTS: Readonly<Record<string, string>> = {
  ENOSPC: 'free some space, or put the layers on another file system',
  EDQUOT: 'free some space, or put the layers on another file system',
  EROFS: 'choose a directory on a file system that is mounted writable',
  EACCES:
    'the directories on the way may belong to somebody else: unpack in the same id mapping as before',
  EMFILE: 'raise the limit of open files (ulimit -n)',
}

/** What to throw for an error met while writing: the system's errors become `ERR_ROOTFS_WRITE`. */
export function explainWriteError(error: unknown, entry?: ByteString): unknown {
  const errno = errnoOf(error)
  if (error instanceof RootfsError || errno === undefined) return error
  const name = entry === undefined ? undefined : printable(entry)
  const hint = Object.hasOwn(HINTS, errno) ? HINTS[errno] : undefined
  return new RootfsError(
    'ERR_ROOTFS_WRITE',
    `cannot unpack ${name ?? 'the layer'}: ${error instanceof Error ? error.message : errno}`,
    {
      cause: error,
      ...(name === undefined ? {} : { entry: name }),
      ...(hint === undefined ? {} : { hint }),
    },
  )
}
