import { RootfsError } from './errors.ts'

/** PAX records by key. Values are bytes: `SCHILY.xattr.*` holds binary data. */
export type PaxRecords = Map<string, Buffer>

/**
 * Parse the body of a PAX extended header: records of the form `LENGTH KEY=VALUE\n`.
 * An empty value stays in the map: it deletes what the header block or a global header said.
 * Throws `ERR_ROOTFS_TAR_INVALID`. POSIX.1-2024 pax, "pax Extended Header".
 */
export function parsePaxRecords(body: Buffer): PaxRecords {
  const records: PaxRecords = new Map()
  let at = 0
  while (at < body.length) {
    const space = body.indexOf(0x20, at)
    const length =
      space > at && space - at <= 10 ? decimal(body.toString('latin1', at, space)) : undefined
    if (length === undefined || length > body.length - at || length < space - at + 4) {
      throw invalid('a record has no length that fits')
    }
    const end = at + length - 1
    if (body[end] !== 0x0a) throw invalid('a record does not end with a newline')
    const equals = body.indexOf(0x3d, space + 1)
    if (equals <= space + 1 || equals >= end) throw invalid('a record has no key')
    const key = body.toString('utf8', space + 1, equals)
    if (key.includes('\0')) throw invalid('a key contains NUL')
    records.set(key, body.subarray(equals + 1, end))
    at = end + 1
  }
  return records
}

/** A record that holds a whole, non-negative decimal number (`size`, `uid`, `gid`); undefined when absent or empty. */
export function paxInteger(records: PaxRecords, key: string): number | undefined {
  const value = records.get(key)
  if (value === undefined || value.length === 0) return undefined
  const number = decimal(value.toString('latin1'))
  if (number === undefined) throw invalid(`${key} is not a number that fits`)
  return number
}

/** A record that holds a time in seconds, possibly negative and with a fraction. */
export function paxTime(records: PaxRecords, key: string): number | undefined {
  const value = records.get(key)
  if (value === undefined || value.length === 0) return undefined
  const text = value.toString('latin1')
  if (!/^-?\d{1,20}(\.\d*)?$/.test(text)) throw invalid(`${key} is not a time`)
  return Number(text)
}

function decimal(text: string): number | undefined {
  if (!/^\d{1,16}$/.test(text)) return undefined
  const number = Number(text)
  return Number.isSafeInteger(number) ? number : undefined
}

function invalid(why: string): RootfsError {
  return new RootfsError('ERR_ROOTFS_TAR_INVALID', `cannot read a PAX header: ${why}`)
}
