import { type ByteString, printable } from './byte-string.ts'
import { RootfsError } from './errors.ts'
import { type PaxRecords, paxInteger, paxTime } from './pax.ts'
import type { TarHeader } from './tar-header.ts'

/** What an entry is. */
export type TarEntryType =
  | 'file'
  | 'directory'
  | 'symlink'
  | 'hardlink'
  | 'character-device'
  | 'block-device'
  | 'fifo'

/** One entry of an archive, with its extended headers applied. */
export interface TarEntry {
  type: TarEntryType
  /** The name as the archive has it: not yet safe to use as a path. */
  name: ByteString
  /** Where a symlink or hard link points. */
  linkName: ByteString
  /** Permission bits, setuid, setgid and sticky: 12 bits. */
  mode: number
  uid: number
  gid: number
  /** Bytes of body that follow; 0 for everything but files. */
  size: number
  /** Seconds since the epoch, possibly negative and with a fraction. */
  mtime: number
  deviceMajor: number
  deviceMinor: number
  /** Extended attributes, by name without the `SCHILY.xattr.` prefix. */
  xattrs: Map<string, Buffer> | undefined
}

/** The headers that stood before an entry's own. */
export interface ExtendedHeaders {
  pax?: PaxRecords
  longName?: ByteString
  longLink?: ByteString
  global: PaxRecords
}

const XATTR_PREFIX = 'SCHILY.xattr.'

const TYPES: Readonly<Record<string, TarEntryType>> = {
  '\0': 'file',
  '0': 'file',
  '7': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'character-device',
  '4': 'block-device',
  '5': 'directory',
  '6': 'fifo',
}

/** Combine a header block with the extended headers that preceded it. Throws `ERR_ROOTFS_UNSUPPORTED` and `ERR_ROOTFS_TAR_INVALID`. */
export function buildEntry(header: TarHeader, extended: ExtendedHeaders): TarEntry {
  const pax = mergeRecords(extended.global, extended.pax)
  const name = chooseName(header.name, extended.longName, pax?.get('path'))
  const linkName = chooseName(header.linkName, extended.longLink, pax?.get('linkpath'))
  const type = entryType(header.typeflag, name)
  refuseSparse(header.typeflag, name, pax)
  const size = (pax && paxInteger(pax, 'size')) ?? header.size
  return {
    type,
    name,
    linkName,
    mode: header.mode & 0o7777,
    uid: (pax && paxInteger(pax, 'uid')) ?? header.uid,
    gid: (pax && paxInteger(pax, 'gid')) ?? header.gid,
    size: type === 'file' ? size : 0, // as Go's archive/tar reads it: only files have a body
    mtime: (pax && paxTime(pax, 'mtime')) ?? header.mtime,
    deviceMajor: header.deviceMajor,
    deviceMinor: header.deviceMinor,
    xattrs: pax && extractXattrs(pax),
  }
}

function mergeRecords(global: PaxRecords, local: PaxRecords | undefined): PaxRecords | undefined {
  if (global.size === 0) return local
  return local === undefined ? global : new Map([...global, ...local])
}

/** A PAX path and a GNU long name that differ are read differently by different tools, so by none of them safely. */
function chooseName(
  own: ByteString,
  gnu: ByteString | undefined,
  pax: Buffer | undefined,
): ByteString {
  if (pax === undefined || pax.length === 0) return gnu ?? own
  const name = pax.toString('latin1')
  if (name.includes('\0')) throw invalid(own, 'its PAX name contains NUL')
  if (gnu !== undefined && gnu !== name) throw invalid(own, 'it has two long names that differ')
  return name
}

function entryType(typeflag: string, name: ByteString): TarEntryType {
  const type = Object.hasOwn(TYPES, typeflag) ? TYPES[typeflag] : undefined
  if (type === 'file' && name.endsWith('/')) return 'directory' // pre-POSIX archives
  if (type !== undefined || typeflag === 'S') return type ?? 'file'
  throw new RootfsError(
    'ERR_ROOTFS_UNSUPPORTED',
    `cannot unpack ${printable(name)}: entries of type ${JSON.stringify(typeflag)} are not supported`,
    { entry: printable(name) },
  )
}

function refuseSparse(typeflag: string, name: ByteString, pax: PaxRecords | undefined): void {
  const isSparse =
    typeflag === 'S' ||
    (pax !== undefined && [...pax.keys()].some((key) => key.startsWith('GNU.sparse.')))
  if (!isSparse) return
  throw new RootfsError(
    'ERR_ROOTFS_UNSUPPORTED',
    `cannot unpack ${printable(name)}: GNU sparse files are not supported`,
    { entry: printable(name), hint: 'build the layer without tar --sparse' },
  )
}

function extractXattrs(pax: PaxRecords): Map<string, Buffer> | undefined {
  let xattrs: Map<string, Buffer> | undefined
  for (const [key, value] of pax) {
    if (!key.startsWith(XATTR_PREFIX)) continue
    xattrs ??= new Map()
    xattrs.set(key.slice(XATTR_PREFIX.length), value)
  }
  return xattrs
}

function invalid(name: ByteString, why: string): RootfsError {
  return new RootfsError('ERR_ROOTFS_TAR_INVALID', `cannot read ${printable(name)}: ${why}`, {
    entry: printable(name),
  })
}
