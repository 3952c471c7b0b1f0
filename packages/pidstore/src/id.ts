import { PidstoreError } from './errors.ts'

const ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/

/**
 * Whether a text can name a record: `[A-Za-z0-9][A-Za-z0-9_.-]*`, at most 128 bytes, so that it is
 * one harmless file name: no slash, no leading dot, nothing a terminal would obey. Never throws.
 */
export function isRecordId(text: unknown): text is string {
  return typeof text === 'string' && ID.test(text)
}

/** Throws `ERR_PIDSTORE_INVALID_ID` unless {@link isRecordId}. */
export function assertRecordId(id: unknown): asserts id is string {
  if (isRecordId(id)) return
  throw new PidstoreError(
    'ERR_PIDSTORE_INVALID_ID',
    `cannot use ${quote(id)} as a record id: it must match [A-Za-z0-9][A-Za-z0-9_.-]* and have at most 128 bytes`,
    {
      hint: 'choose an id of letters, digits, "_", "." and "-" that starts with a letter or digit',
    },
  )
}

/** Any value as short, printable ASCII for a message. */
export function quote(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value)
  const plain = text.replace(/[^ -~]/g, '?')
  return plain.length > 80 ? `${plain.slice(0, 77)}...` : plain
}
