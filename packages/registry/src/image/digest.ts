import { createHash, type Hash } from 'node:crypto'
import { isRegistryError, RegistryError } from '../errors.ts'

const HEX_LENGTHS = { sha256: 64, sha512: 128 } as const

/** The algorithms that this package computes. */
export type DigestAlgorithm = keyof typeof HEX_LENGTHS

/** The two halves of a digest such as `sha256:…`. */
export interface ParsedDigest {
  algorithm: DigestAlgorithm
  /** Lower-case hexadecimal; safe as a file name. */
  hex: string
}

/**
 * Split a digest, after which both halves are safe in a path or a URL.
 *
 * Throws `ERR_REGISTRY_BAD_DIGEST`. Source: image-spec, descriptor.md, "Digests".
 */
export function parseDigest(text: string): ParsedDigest {
  const match = /^(sha256|sha512):([a-f0-9]+)$/.exec(text)
  // The expression admits only the two keys of HEX_LENGTHS.
  const algorithm = match?.[1] as DigestAlgorithm | undefined
  const hex = match?.[2]
  if (algorithm === undefined || hex === undefined || hex.length !== HEX_LENGTHS[algorithm]) {
    const shown = text.length > 150 ? `${text.slice(0, 150)}…` : text
    throw new RegistryError(
      'ERR_REGISTRY_BAD_DIGEST',
      `"${shown}" is not a digest: want sha256: and 64 or sha512: and 128 lower-case hexadecimal digits`,
    )
  }
  return { algorithm, hex }
}

/** Whether {@link parseDigest} accepts the text. Never throws. */
export function isDigest(text: unknown): text is string {
  if (typeof text !== 'string') return false
  try {
    parseDigest(text)
    return true
  } catch {
    return false
  }
}

/** The digest of these bytes. */
export function digestOf(bytes: Uint8Array, algorithm: DigestAlgorithm = 'sha256'): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`
}

/** What bytes are expected to be. */
export interface Expectation {
  digest: string
  /** In bytes. */
  size: number
}

/** Counts and hashes bytes as they pass and judges them at the end. */
export class Verifier {
  readonly #expected: Expectation
  readonly #algorithm: DigestAlgorithm
  #hash: Hash
  #size = 0

  constructor(expected: Expectation) {
    this.#expected = expected
    this.#algorithm = parseDigest(expected.digest).algorithm
    this.#hash = createHash(this.#algorithm)
  }

  /** Bytes seen so far. */
  get size(): number {
    return this.#size
  }

  /** Take the next bytes. Throws `ERR_REGISTRY_SIZE_MISMATCH` as soon as there are too many. */
  update(chunk: Uint8Array): void {
    this.#size += chunk.byteLength
    if (this.#size > this.#expected.size)
      throw this.#sizeMismatch(`more than ${this.#expected.size}`)
    this.#hash.update(chunk)
  }

  /** Forget everything seen. */
  reset(): void {
    this.#hash = createHash(this.#algorithm)
    this.#size = 0
  }

  /** Throws `ERR_REGISTRY_SIZE_MISMATCH` or `ERR_REGISTRY_DIGEST_MISMATCH` unless all is as expected. */
  finish(): void {
    if (this.#size !== this.#expected.size) throw this.#sizeMismatch(String(this.#size))
    const actual = `${this.#algorithm}:${this.#hash.digest('hex')}`
    if (actual === this.#expected.digest) return
    throw new RegistryError(
      'ERR_REGISTRY_DIGEST_MISMATCH',
      `content of ${this.#expected.digest} is damaged: it hashes to ${actual}`,
      { expected: this.#expected.digest, actual, hint: DAMAGED_HINT },
    )
  }

  #sizeMismatch(actual: string): RegistryError {
    const { digest, size } = this.#expected
    return new RegistryError(
      'ERR_REGISTRY_SIZE_MISMATCH',
      `content of ${digest} is damaged: it has ${actual} bytes instead of ${size}`,
      { expected: String(size), actual, hint: DAMAGED_HINT },
    )
  }
}

const DAMAGED_HINT =
  'try again; if it stays so, the registry or a proxy on the way alters or cuts what it serves'

/** Whether it is what a {@link Verifier} throws: the bytes are not what they should be. */
export function isDamage(error: unknown): boolean {
  return (
    isRegistryError(error, 'ERR_REGISTRY_DIGEST_MISMATCH') ||
    isRegistryError(error, 'ERR_REGISTRY_SIZE_MISMATCH')
  )
}

/** Throws `ERR_REGISTRY_SIZE_MISMATCH` or `ERR_REGISTRY_DIGEST_MISMATCH` unless the bytes are as expected. */
export function verifyBytes(bytes: Uint8Array, expected: Expectation): void {
  const verifier = new Verifier(expected)
  verifier.update(bytes)
  verifier.finish()
}

/**
 * Pass the source through, throwing at its end, or at the first surplus byte, unless it is what was expected.
 *
 * Consumers must not commit what they read before the iteration has ended without an error.
 */
export async function* verifyStream(
  source: AsyncIterable<Uint8Array>,
  expected: Expectation,
): AsyncGenerator<Uint8Array, void, undefined> {
  const verifier = new Verifier(expected)
  for await (const chunk of source) {
    verifier.update(chunk)
    yield chunk
  }
  verifier.finish()
}
