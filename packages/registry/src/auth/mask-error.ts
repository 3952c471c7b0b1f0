import { RegistryError, type RegistryErrorFields } from '../errors.ts'
import { maskSecrets } from '../redact.ts'

/**
 * The error without these secrets, whatever brought them there: a server may put what it was sent into an
 * address that it leads to, or into words of its own. The very same error if it has none of them.
 */
export function maskError(error: unknown, secrets: readonly string[]): unknown {
  if (!(error instanceof RegistryError)) return error
  const cause = maskError(error.cause, secrets)
  const text = JSON.stringify(error)
  if (cause === error.cause && !secrets.some((secret) => text.includes(escaped(secret))))
    return error
  const { name: _name, code: _code, ...fields } = Object.fromEntries(Object.entries(error))
  // Masking changes texts only, so that they are the fields they were.
  const masked = maskValue(fields, secrets) as RegistryErrorFields
  const found = new RegistryError(error.code, maskSecrets(error.message, secrets), {
    ...masked,
    ...(cause === undefined ? {} : { cause }),
  })
  found.stack = maskSecrets(error.stack ?? '', secrets)
  return found
}

function maskValue(value: unknown, secrets: readonly string[]): unknown {
  if (typeof value === 'string') return maskSecrets(value, secrets)
  if (Array.isArray(value)) return value.map((item) => maskValue(item, secrets))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, maskValue(item, secrets)]),
  )
}

/** As JSON writes it. */
function escaped(secret: string): string {
  return JSON.stringify(secret).slice(1, -1)
}
