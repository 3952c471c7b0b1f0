/** The size of everything in a tar archive is a multiple of this. */
export const BLOCK_BYTES = 512

/** A header as it stands in the archive. Source: POSIX.1-2017, pax, "ustar Interchange Format". */
export interface TarHeader {
  name: string
  size: number
  /** The character of the entry's type; '0' for the old kinds of files, too. */
  type: string
  linkName: string
}

const MAX_OCTAL_SIZE = 0o77777777777

/** Undefined for a block of zeroes, of which two end the archive. Throws an Error that says what is wrong. */
export function decodeHeader(block: Uint8Array): TarHeader | undefined {
  const bytes = Buffer.from(block.buffer, block.byteOffset, block.byteLength)
  if (bytes.every((byte) => byte === 0)) return undefined
  const expected = octal(bytes, 148, 8)
  let [unsigned, signed] = [0, 0]
  for (let i = 0; i < BLOCK_BYTES; i++) {
    const byte = i >= 148 && i < 156 ? 32 : (bytes[i] ?? 0) // the checksum counts itself as spaces
    unsigned += byte
    signed += byte > 127 ? byte - 256 : byte
  }
  if (expected !== unsigned && expected !== signed) throw new Error('a header has a wrong checksum')
  const type = String.fromCharCode(bytes[156] ?? 0)
  const isUstar = bytes.toString('latin1', 257, 263) === 'ustar\0'
  const prefix = isUstar ? text(bytes, 345, 155) : ''
  const name = text(bytes, 0, 100)
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    size: sizeAt(bytes, 124),
    type: type === '\0' || type === '7' ? '0' : type,
    linkName: text(bytes, 157, 100),
  }
}

/** The header, and the extended header before it where the name does not fit. */
export function encodeHeader({ name, size, type }: Omit<TarHeader, 'linkName'>): Buffer {
  if (Buffer.byteLength(name) <= 100) return encodeBlock(name, size, type)
  const record = paxRecord('path', name)
  const padding = Buffer.alloc(paddingOf(record.length))
  const extended = encodeBlock('PaxHeaders/path', record.length, 'x')
  return Buffer.concat([extended, record, padding, encodeBlock(name.slice(-100), size, type)])
}

/** How many zeroes follow so many bytes of content. */
export function paddingOf(size: number): number {
  return (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES
}

/** The records of an extended header. Throws an Error that says what is wrong. */
export function decodePax(bytes: Uint8Array): Map<string, string> {
  const records = new Map<string, string>()
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let start = 0; start < buffer.length; ) {
    const space = buffer.indexOf(0x20, start)
    const digits = space === -1 ? '' : buffer.toString('latin1', start, space)
    const end = start + Number(digits)
    const valid = /^[1-9]\d{0,7}$/.test(digits) && end <= buffer.length && buffer[end - 1] === 0x0a
    const equals = buffer.indexOf(0x3d, space)
    if (!valid || equals === -1 || equals >= end) throw new Error('an extended header is damaged')
    records.set(
      buffer.toString('utf8', space + 1, equals),
      buffer.toString('utf8', equals + 1, end - 1),
    )
    start = end
  }
  return records
}

/** Files and directories belong to root and come from the beginning of time, so equal content gives equal archives. */
function encodeBlock(name: string, size: number, type: string): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES)
  block.write(name, 0, 100)
  block.write(`${type === '5' ? '0000755' : '0000644'}\0`, 100)
  block.write('0000000\0', 108)
  block.write('0000000\0', 116)
  writeSize(block, size)
  block.write('00000000000\0', 136)
  block.write('        ', 148)
  block.write(type, 156)
  block.write('ustar\x0000', 257)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return block
}

/** From 8 GiB on in binary, as GNU tar does. */
function writeSize(block: Buffer, size: number): void {
  if (size <= MAX_OCTAL_SIZE) block.write(`${size.toString(8).padStart(11, '0')}\0`, 124)
  else {
    block[124] = 0x80
    block.writeBigUInt64BE(BigInt(size), 128)
  }
}

function sizeAt(bytes: Buffer, offset: number): number {
  if (((bytes[offset] ?? 0) & 0x80) === 0) return octal(bytes, offset, 12)
  const high = bytes.readUIntBE(offset + 1, 3)
  const size = Number(bytes.readBigUInt64BE(offset + 4))
  if (bytes[offset] !== 0x80 || high !== 0 || !Number.isSafeInteger(size)) {
    throw new Error('a header has an impossible size')
  }
  return size
}

function octal(bytes: Buffer, offset: number, length: number): number {
  const digits = text(bytes, offset, length).trim()
  if (!/^[0-7]{0,12}$/.test(digits)) throw new Error('a header has a number that is none')
  return digits === '' ? 0 : Number.parseInt(digits, 8)
}

function text(bytes: Buffer, offset: number, length: number): string {
  const end = bytes.indexOf(0, offset)
  return bytes.toString(
    'utf8',
    offset,
    end === -1 ? offset + length : Math.min(end, offset + length),
  )
}

/** `LENGTH KEY=VALUE\n`, where the length counts its own digits. */
function paxRecord(key: string, value: string): Buffer {
  const rest = Buffer.from(` ${key}=${value}\n`)
  let length = rest.length + String(rest.length).length
  length = rest.length + String(length).length
  return Buffer.concat([Buffer.from(String(length)), rest])
}
