import { Header } from 'tar/header'
import type { ByteString } from './byte-string.ts'
import { RootfsError } from './errors.ts'

/** Tar's unit: every header is one block, every body is padded to whole blocks. */
export const BLOCK_SIZE = 512

/** One header block, decoded but not interpreted: extended headers may still override its fields. */
export interface TarHeader {
  typeflag: string
  name: ByteString
  linkName: ByteString
  mode: number
  uid: number
  gid: number
  size: number
  /** Seconds since the epoch. */
  mtime: number
  deviceMajor: number
  deviceMinor: number
}

/** Whether the block at `offset` is all zeros, as the two blocks that end an archive are. */
export function isZeroBlock(bytes: Buffer, offset: number): boolean {
  for (let i = offset; i < offset + BLOCK_SIZE; i++) if (bytes[i] !== 0) return false
  return true
}

/**
 * Decode the header block at `offset`.
 * Throws `ERR_ROOTFS_TAR_CHECKSUM`, `ERR_ROOTFS_TAR_DESYNC` or `ERR_ROOTFS_TAR_INVALID`.
 *
 * Plain octal numbers, the checksum and the names (as bytes) are read here; numbers in any other form
 * (base-256, negative) are left to the codec of `tar`. POSIX.1-2024 pax, "ustar Interchange Format".
 */
export function decodeHeader(block: Buffer, offset: number): TarHeader {
  verifyChecksum(block, offset)
  const magic = block.toString('latin1', offset + 257, offset + 265)
  const posix = magic.startsWith('ustar\0')
  const gnu = magic.startsWith('ustar ')
  const name = cString(block, offset, 100)
  const prefix = posix || gnu ? namePrefix(block, offset, gnu) : ''
  const typeByte = block[offset + 156] ?? 0
  const isDevice = typeByte === 0x33 || typeByte === 0x34
  return {
    typeflag: typeByte === 0 ? '\0' : String.fromCharCode(typeByte),
    name: prefix === '' ? name : `${prefix}/${name}`,
    linkName: cString(block, offset + 157, 100),
    mode: field(block, offset, 100, 8, 'mode'),
    uid: field(block, offset, 108, 8, 'uid'),
    gid: field(block, offset, 116, 8, 'gid'),
    size: field(block, offset, 124, 12, 'size'),
    mtime: field(block, offset, 136, 12, 'mtime'),
    deviceMajor: isDevice && (posix || gnu) ? deviceField(block, offset + 329) : 0,
    deviceMinor: isDevice && (posix || gnu) ? deviceField(block, offset + 337) : 0,
  }
}

function verifyChecksum(block: Buffer, offset: number): void {
  const stored = octal(block, offset + 148, 8)
  let unsigned = 8 * 0x20
  for (let i = offset; i < offset + 148; i++) unsigned += block[i] ?? 0
  for (let i = offset + 156; i < offset + BLOCK_SIZE; i++) unsigned += block[i] ?? 0
  if (stored === unsigned || stored === signedChecksum(block, offset)) return
  const isHeader = block.toString('latin1', offset + 257, offset + 262) === 'ustar'
  throw isHeader
    ? new RootfsError(
        'ERR_ROOTFS_TAR_CHECKSUM',
        'cannot read the archive: the checksum of a header is wrong',
      )
    : new RootfsError(
        'ERR_ROOTFS_TAR_DESYNC',
        'cannot read the archive: there is no tar header where one has to be',
      )
}

/** Some old writers summed the bytes as signed characters. */
function signedChecksum(block: Buffer, offset: number): number {
  let sum = 8 * 0x20
  for (let i = 0; i < BLOCK_SIZE; i++) {
    if (i < 148 || i >= 156) sum += block.readInt8(offset + i)
  }
  return sum
}

/**
 * The ustar prefix. GNU headers have access and change times there, except those that Go wrote before
 * 1.8, which put a prefix under the GNU magic; star keeps two times behind a shorter prefix.
 */
function namePrefix(block: Buffer, offset: number, gnu: boolean): ByteString {
  if (gnu) {
    const first = block[offset + 345] ?? 0
    const isTime = first === 0 || first >= 0x80 || octal(block, offset + 345, 12) !== undefined
    return isTime ? '' : cString(block, offset + 345, 155)
  }
  const star = block.toString('latin1', offset + 508, offset + 512) === 'tar\0'
  return cString(block, offset + 345, star ? 131 : 155)
}

type NumericField = 'mode' | 'uid' | 'gid' | 'size' | 'mtime'

function field(
  block: Buffer,
  offset: number,
  at: number,
  length: number,
  name: NumericField,
): number {
  const value = octal(block, offset + at, length) ?? codecField(block, offset, at, name)
  if (name !== 'mtime' && value < 0) throw invalidField(name)
  return value
}

/** Numbers that are not plain octal: base-256, which the codec of `tar` bounds to safe integers. */
function codecField(block: Buffer, offset: number, at: number, name: NumericField): number {
  if (((block[offset + at] ?? 0) & 0x80) === 0) throw invalidField(name)
  try {
    const header = new Header(block.subarray(offset, offset + BLOCK_SIZE), 0)
    const value = name === 'mtime' ? header.mtime?.getTime() : header[name]
    if (value !== undefined) return name === 'mtime' ? value / 1000 : value
  } catch (cause) {
    throw invalidField(name, cause)
  }
  throw invalidField(name)
}

function deviceField(block: Buffer, at: number): number {
  const value = octal(block, at, 8)
  if (value === undefined) throw invalidField('device number')
  return value
}

function invalidField(name: string, cause?: unknown): RootfsError {
  return new RootfsError(
    'ERR_ROOTFS_TAR_INVALID',
    `cannot read the archive: a header's ${name} is not a number that fits`,
    { cause },
  )
}

/** Octal digits, optionally between spaces, ended by NUL or space; undefined for anything else, 0 when empty. */
function octal(block: Buffer, at: number, length: number): number | undefined {
  const end = at + length
  let i = at
  while (i < end && block[i] === 0x20) i++
  let value = 0
  for (; i < end; i++) {
    const digit = (block[i] ?? 0) - 0x30
    if (digit < 0 || digit > 7) break
    value = value * 8 + digit
  }
  for (; i < end; i++) if (block[i] !== 0 && block[i] !== 0x20) return undefined
  return value
}

function cString(block: Buffer, at: number, length: number): ByteString {
  let end = at
  while (end < at + length && block[end] !== 0) end++
  return block.toString('latin1', at, end)
}
