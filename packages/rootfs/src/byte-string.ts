/**
 * A sequence of bytes held in a string, one character per byte (latin1). Linux file names are bytes, not
 * Unicode: decoding them as UTF-8 makes different names equal. In this form they can be compared, split
 * and used as map keys without loss.
 */
export type ByteString = string

/** The bytes of `buffer`, without loss. */
export function toByteString(buffer: Uint8Array): ByteString {
  return Buffer.from(buffer.buffer, buffer.byteOffset, buffer.byteLength).toString('latin1')
}

/** The bytes that an ordinary string stands for in a file name. */
export function encodePath(text: string): ByteString {
  return isAscii(text) ? text : Buffer.from(text, 'utf8').toString('latin1')
}

/** `bytes` as something that `node:fs` takes: the string itself while it is ASCII, else a buffer. */
export function toFsPath(bytes: ByteString): string | Buffer {
  return isAscii(bytes) ? bytes : Buffer.from(bytes, 'latin1')
}

/** `bytes` for people: UTF-8 where it is valid, control characters escaped. */
export function printable(bytes: ByteString): string {
  return Buffer.from(bytes, 'latin1')
    .toString('utf8')
    .replace(/[\x00-\x1f\x7f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`)
}

function isAscii(text: string): boolean {
  return /^[\x00-\x7f]*$/.test(text)
}
