import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs'

// O_NONBLOCK: opening a fifo that nobody writes to must return, not wait.
// O_NOFOLLOW: a symlink is never what this package wrote.
const UNTRUSTED = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** What was found at a path that anybody may have written to. */
export type UntrustedFile =
  | { kind: 'text'; text: string; stats: Stats }
  | { kind: 'refused'; reason: string; stats: Stats }

/**
 * Reads a small regular file that may be anything instead, without ever blocking on it, following
 * it or reading more of it than `maxBytes`. Throws only what open(2), fstat(2) and read(2) fail with.
 */
export function readUntrustedFile(path: string, maxBytes: number): UntrustedFile {
  const fd = openSync(path, UNTRUSTED)
  try {
    const stats = fstatSync(fd)
    if (!stats.isFile()) return { kind: 'refused', reason: 'not a regular file', stats }
    if (stats.size > maxBytes) {
      return { kind: 'refused', reason: `larger than ${maxBytes} bytes`, stats }
    }
    const text = readUpTo(fd, maxBytes + 1)
    // It may have grown since fstat, or have no honest size at all.
    if (text.length > maxBytes) {
      return { kind: 'refused', reason: `larger than ${maxBytes} bytes`, stats }
    }
    return { kind: 'text', text, stats }
  } finally {
    closeSync(fd)
  }
}

/** The first `maxBytes` of a file of /proc, which the kernel wrote. Throws what the system calls fail with. */
export function readKernelFile(path: string, maxBytes = 4096): string {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    return readUpTo(fd, maxBytes)
  } finally {
    closeSync(fd)
  }
}

// Everything here is synchronous, so one buffer serves every reader of the thread.
let scratch = Buffer.allocUnsafeSlow(8192)

function readUpTo(fd: number, maxBytes: number): string {
  if (scratch.length < maxBytes) scratch = Buffer.allocUnsafeSlow(maxBytes)
  let length = 0
  while (length < maxBytes) {
    const wanted = maxBytes - length
    const count = readSync(fd, scratch, length, wanted, null)
    length += count
    // Regular files and those of /proc give less than was asked for only at their end.
    if (count < wanted) break
  }
  // latin1 keeps one character per byte, so that sizes and offsets mean the same in both.
  return scratch.toString('latin1', 0, length)
}
