import { RegistryError } from '../errors.ts'
import type { HttpResponse } from '../http/transport.ts'
import { isDigest, parseDigest } from '../image/digest.ts'

/** Throws `ERR_REGISTRY_DIGEST_MISMATCH` if the registry stored something else; digests of two algorithms cannot be compared. */
export function checkAnnouncedDigest(
  actual: string | undefined,
  expected: string,
  { url }: HttpResponse,
): void {
  if (!isDigest(actual) || actual === expected) return
  if (parseDigest(actual).algorithm !== parseDigest(expected).algorithm) return
  const message = `${url.host} stored ${actual} instead of ${expected}`
  throw new RegistryError('ERR_REGISTRY_DIGEST_MISMATCH', message, {
    host: url.host,
    url: url.href,
    expected,
    actual,
    hint: 'the registry, or a proxy on the way, alters what it is given',
  })
}
