import { getSystemErrorMap } from 'node:util'

/** Why something failed, for the end of a message: `permission denied` for EACCES; another error's own message. */
export function systemReason(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  const errno = 'errno' in cause && typeof cause.errno === 'number' ? cause.errno : 0
  return getSystemErrorMap().get(errno)?.[1] ?? cause.message
}
