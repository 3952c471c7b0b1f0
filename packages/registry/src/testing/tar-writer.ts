/** One entry of a tar archive. */
export interface TarEntry {
  /** Relative, without a leading `/` or `./`; may end in `/` for a directory. */
  path: string
  kind: 'file' | 'directory' | 'symlink' | 'hardlink' | 'fifo' | 'character' | 'block'
  content?: Uint8Array
  /** Of a link: what it points to, relative to the archive for hard links. */
  target?: string
  mode: number
  uid: number
  gid: number
  /** Seconds since the epoch. */
  mtime: number
  major?: number
  minor?: number
  /** Extended attributes, kept as `SCHILY.xattr.NAME`. */
  xattrs?: Record<string, string | Uint8Array>
}

const BLOCK = 512
const TYPE_FLAGS = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
} as const
const MAX_OCTAL_ID = 0o7777777

/** A tar archive in the ustar format; what ustar cannot hold goes into PAX records. Source: POSIX.1-2017, pax. */
export function writeTar(entries: Iterable<TarEntry>): Buffer {
  const blocks: Uint8Array[] = []
  for (const entry of entries) {
    const content = entry.kind === 'file' ? (entry.content ?? new Uint8Array()) : new Uint8Array()
    const records = paxRecords(entry)
    if (records.length > 0) {
      const body = Buffer.concat(records)
      const name = `PaxHeaders/${entry.path.slice(-80)}`
      blocks.push(header({ ...entry, path: name, kind: 'file', mode: 0o644 }, body.length, 'x'))
      blocks.push(...padded(body))
    }
    blocks.push(header(entry, content.byteLength, TYPE_FLAGS[entry.kind]), ...padded(content))
  }
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)])
}

function header(entry: TarEntry, size: number, typeFlag: string): Buffer {
  const block = Buffer.alloc(BLOCK)
  const { name, prefix } = splitName(entry.path)
  block.write(name, 0, 100)
  writeOctal(block, entry.mode & 0o7777, 100, 8)
  writeOctal(block, Math.min(entry.uid, MAX_OCTAL_ID), 108, 8)
  writeOctal(block, Math.min(entry.gid, MAX_OCTAL_ID), 116, 8)
  writeOctal(block, size, 124, 12)
  writeOctal(block, Math.max(0, Math.floor(entry.mtime)), 136, 12)
  block.write('        ', 148, 8) // the checksum counts itself as spaces
  block.write(typeFlag, 156, 1)
  if (typeFlag !== 'x') block.write(entry.target ?? '', 157, 100)
  block.write('ustar\x0000', 257, 8)
  if (entry.kind === 'character' || entry.kind === 'block') {
    writeOctal(block, entry.major ?? 0, 329, 8)
    writeOctal(block, entry.minor ?? 0, 337, 8)
  }
  block.write(prefix, 345, 155)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 8)
  return block
}

function writeOctal(block: Buffer, value: number, offset: number, length: number): void {
  block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, offset, length)
}

/** A path of up to 255 bytes fits if a `/` divides it well. */
function splitName(path: string): { name: string; prefix: string; fits: boolean } {
  if (Buffer.byteLength(path) <= 100) return { name: path, prefix: '', fits: true }
  for (let slash = path.indexOf('/'); slash > 0; slash = path.indexOf('/', slash + 1)) {
    const [prefix, name] = [path.slice(0, slash), path.slice(slash + 1)]
    const fits = Buffer.byteLength(prefix) <= 155 && Buffer.byteLength(name) <= 100
    if (fits && name !== '') return { name, prefix, fits }
  }
  return { name: path.slice(0, 25), prefix: '', fits: false }
}

function paxRecords(entry: TarEntry): Buffer[] {
  const { path, target = '', uid, gid, mtime, xattrs = {} } = entry
  const records: Buffer[] = []
  if (!splitName(path).fits) records.push(paxRecord('path', path))
  if (Buffer.byteLength(target) > 100) records.push(paxRecord('linkpath', target))
  if (uid > MAX_OCTAL_ID) records.push(paxRecord('uid', String(uid)))
  if (gid > MAX_OCTAL_ID) records.push(paxRecord('gid', String(gid)))
  if (!Number.isInteger(mtime) || mtime < 0) records.push(paxRecord('mtime', String(mtime)))
  for (const [name, value] of Object.entries(xattrs)) {
    records.push(paxRecord(`SCHILY.xattr.${name}`, value))
  }
  return records
}

/** `LENGTH KEY=VALUE\n`, where the length counts its own digits. */
function paxRecord(key: string, value: string | Uint8Array): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')])
  let length = rest.length + String(rest.length).length
  length = rest.length + String(length).length
  return Buffer.concat([Buffer.from(String(length)), rest])
}

function padded(content: Uint8Array): Uint8Array[] {
  const padding = (BLOCK - (content.byteLength % BLOCK)) % BLOCK
  return padding === 0 ? [content] : [content, Buffer.alloc(padding)]
}
