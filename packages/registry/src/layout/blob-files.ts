import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isRegistryError, RegistryError } from '../errors.ts'
import { type Expectation, isDamage, parseDigest, verifyBytes } from '../image/digest.ts'
import { checkDocumentSize } from '../image/json-document.ts'
import { makePrivateDirectories, writeDurably } from './durable-file.ts'
import { damagedLayout, isMissing, layoutError } from './layout-error.ts'

/** Where the blob of this digest is, or would be. Throws `ERR_REGISTRY_BAD_DIGEST`. */
export function blobPath(directory: string, digest: string): string {
  const { algorithm, hex } = parseDigest(digest)
  return join(directory, 'blobs', algorithm, hex)
}

/** Where a blob grows, and where it goes once it is proven. */
export function ingestPaths(
  directory: string,
  { digest }: Expectation,
): { partial: string; final: string } {
  const { algorithm, hex } = parseDigest(digest)
  return {
    partial: join(directory, 'partial', `${algorithm}-${hex}`),
    final: blobPath(directory, digest),
  }
}

/** Whether a regular file of exactly this size is there; a symbolic link is none. */
export async function hasSize(path: string, size: number): Promise<boolean> {
  try {
    const found = await lstat(path)
    return found.isFile() && found.size === size
  } catch (error) {
    if (isMissing(error)) return false
    throw layoutError('read', path, error)
  }
}

/** A small blob, verified; undefined if it is missing or damaged. */
export function readBlob(directory: string, expected: Expectation): Uint8Array | undefined {
  const path = blobPath(directory, expected.digest)
  checkDocumentSize(expected.size, path)
  try {
    const bytes = readRegularFile(path, expected.size)
    verifyBytes(bytes, expected)
    return bytes
  } catch (error) {
    const damaged = isDamage(error) || isRegistryError(error, 'ERR_REGISTRY_TOO_LARGE')
    if (isMissing(error) || damaged) return undefined
    throw layoutError('read', path, error)
  }
}

/** Store a small blob, verified. */
export async function writeBlob(
  directory: string,
  expected: Expectation,
  bytes: Uint8Array,
): Promise<void> {
  verifyBytes(bytes, expected)
  const path = blobPath(directory, expected.digest)
  try {
    await makePrivateDirectories(directory, 'partial', 'blobs')
    await makePrivateDirectories(dirname(path))
    await writeDurably(path, bytes, join(directory, 'partial'))
  } catch (error) {
    throw layoutError('write', path, error)
  }
}

/**
 * A file as a whole, whoever made the directory: a link leads out of the layout, a pipe has no end,
 * and neither is followed. Throws `ERR_REGISTRY_TOO_LARGE`, `ERR_REGISTRY_LAYOUT`, or the system's error.
 */
export function readRegularFile(path: string, maxBytes: number): Buffer {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const found = fstatSync(fd)
    if (!found.isFile()) throw damagedLayout(path, 'it is not a regular file')
    if (found.size > maxBytes) throw tooLarge(path, found.size, maxBytes)
    return readFileSync(fd)
  } finally {
    closeSync(fd)
  }
}

function tooLarge(path: string, size: number, maxBytes: number): RegistryError {
  return new RegistryError(
    'ERR_REGISTRY_TOO_LARGE',
    `${path} is too large: ${size} bytes, where ${maxBytes} are allowed`,
    { path, expected: `at most ${maxBytes}`, actual: String(size) },
  )
}
