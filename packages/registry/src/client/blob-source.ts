import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { throwIfAborted } from '../abort.ts'
import { RegistryError } from '../errors.ts'
import type { Descriptor } from '../image/descriptor.ts'
import { type DigestAlgorithm, digestOf } from '../image/digest.ts'

/** Bytes that can be read again, from any offset: what an upload needs to go on after a failure. */
export interface BlobSource {
  readonly descriptor: Descriptor
  /** The bytes from `offset` on; stopping the iteration frees what it holds. */
  open(offset: number, signal?: AbortSignal): AsyncIterable<Uint8Array>
}

/** What is known of the bytes beforehand; the rest is found by reading them. */
export interface BlobSourceOptions {
  /** Default `application/octet-stream`. */
  mediaType?: string
  /** Taken as given; an upload fails with `ERR_REGISTRY_SOURCE_CHANGED` if it is wrong. */
  digest?: string
  /** In bytes; taken as given, too. */
  size?: number
  /** Of the digest that is computed. Default `sha256`. */
  algorithm?: DigestAlgorithm
  annotations?: Record<string, string>
  signal?: AbortSignal | undefined
}

const OCTETS = 'application/octet-stream'
const READ_BYTES = 256 * 1024

/** Bytes in memory. */
export function bytesSource(bytes: Uint8Array, options: BlobSourceOptions = {}): BlobSource {
  const digest = options.digest ?? digestOf(bytes, options.algorithm)
  return {
    descriptor: describe({ digest, size: bytes.byteLength }, options),
    async *open(offset) {
      if (offset < bytes.byteLength) yield bytes.subarray(offset)
    },
  }
}

/**
 * A file, which is read as often as it takes; reading it first for its digest, unless that is given.
 *
 * Throws `ERR_REGISTRY_SOURCE_UNREADABLE` here and while it is read.
 */
export async function fileSource(
  path: string,
  options: BlobSourceOptions = {},
): Promise<BlobSource> {
  return createBlobSource((offset) => readFileFrom(path, offset), options)
}

/**
 * Anything that can be opened again at an offset.
 *
 * Unless both digest and size are given, it is read once from its beginning to find them.
 */
export async function createBlobSource(
  open: BlobSource['open'],
  options: BlobSourceOptions = {},
): Promise<BlobSource> {
  const { digest, size, signal } = options
  const known =
    digest === undefined || size === undefined
      ? await measure(open(0, signal), options)
      : { digest, size }
  return { descriptor: describe(known, options), open }
}

async function measure(
  bytes: AsyncIterable<Uint8Array>,
  { algorithm = 'sha256', signal, ...given }: BlobSourceOptions,
): Promise<{ digest: string; size: number }> {
  const hash = createHash(algorithm)
  let size = 0
  for await (const chunk of bytes) {
    throwIfAborted(signal)
    size += chunk.byteLength
    hash.update(chunk)
  }
  return { digest: given.digest ?? `${algorithm}:${hash.digest('hex')}`, size: given.size ?? size }
}

function describe(
  found: { digest: string; size: number },
  { mediaType = OCTETS, annotations }: BlobSourceOptions,
): Descriptor {
  return { mediaType, ...found, ...(annotations === undefined ? {} : { annotations }) }
}

async function* readFileFrom(path: string, start: number): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path, { start, highWaterMark: READ_BYTES })
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new RegistryError('ERR_REGISTRY_SOURCE_UNREADABLE', `cannot read ${path}: ${why}`, {
      path,
      cause,
    })
  }
}
