import { gzipSync } from 'node:zlib'

/** One entry of a literal archive; everything has a default but the name. */
export interface LiteralEntry {
  name: string | Buffer
  typeflag?: string
  content?: string | Buffer
  link?: string | Buffer
  mode?: number
  uid?: number
  gid?: number
  mtime?: number
  device?: [major: number, minor: number]
  /** PAX records that precede the entry. */
  pax?: Record<string, string | Buffer>
  /** What the header's size field says, when that is not the content's length. */
  size?: number
  magic?: 'ustar\x0000' | 'ustar  \0' | '\0\0\0\0\0\0\0\0'
  /** Written over the finished header, before its checksum is made. */
  patch?: (header: Buffer) => void
}

type Extra = Partial<LiteralEntry>

export const file = (name: string | Buffer, content: string | Buffer = '', extra: Extra = {}) => ({
  name,
  content,
  ...extra,
})
export const dir = (name: string | Buffer, extra: Extra = {}) => ({
  name,
  typeflag: '5',
  mode: 0o755,
  ...extra,
})
export const symlink = (name: string | Buffer, link: string | Buffer, extra: Extra = {}) => ({
  name,
  typeflag: '2',
  link,
  mode: 0o777,
  ...extra,
})
export const hardlink = (name: string | Buffer, link: string | Buffer, extra: Extra = {}) => ({
  name,
  typeflag: '1',
  link,
  ...extra,
})

/** An archive of exactly these entries, ended as tar ends archives. */
export function tar(entries: readonly LiteralEntry[]): Buffer {
  return Buffer.concat([...entries.map(encodeEntry), Buffer.alloc(1024)])
}

export function tgz(entries: readonly LiteralEntry[]): Buffer {
  return gzipSync(tar(entries))
}

/** A PAX record with the length that includes itself. */
export function paxRecord(key: string, value: string | Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')])
  let length = rest.length + 1
  while (String(length).length + rest.length !== length)
    length = String(length).length + rest.length
  return Buffer.concat([Buffer.from(String(length)), rest])
}

/** One header block, its extended header before it and its body after it. */
export function encodeEntry(entry: LiteralEntry): Buffer {
  const body = Buffer.from(entry.content ?? '')
  const blocks = [header(entry, body.length), pad(body)]
  if (entry.pax !== undefined) {
    const records = Buffer.concat(Object.entries(entry.pax).map(([k, v]) => paxRecord(k, v)))
    blocks.unshift(header({ name: 'PaxHeaders/x', typeflag: 'x' }, records.length), pad(records))
  }
  return Buffer.concat(blocks)
}

function header(entry: LiteralEntry, bodyLength: number): Buffer {
  const block = Buffer.alloc(512)
  Buffer.from(entry.name).copy(block, 0, 0, 100)
  const number = (value: number, at: number, length: number): void => {
    block.write(
      `${Math.max(0, value)
        .toString(8)
        .padStart(length - 1, '0')}\0`,
      at,
      'latin1',
    )
  }
  number(entry.mode ?? 0o644, 100, 8)
  number(entry.uid ?? process.getuid?.() ?? 0, 108, 8)
  number(entry.gid ?? process.getgid?.() ?? 0, 116, 8)
  number(entry.size ?? bodyLength, 124, 12)
  number(Math.floor(entry.mtime ?? 1_700_000_000), 136, 12)
  block.write(entry.typeflag ?? '0', 156, 'latin1')
  Buffer.from(entry.link ?? '').copy(block, 157, 0, 100)
  block.write(entry.magic ?? 'ustar\x0000', 257, 'latin1')
  number(entry.device?.[0] ?? 0, 329, 8)
  number(entry.device?.[1] ?? 0, 337, 8)
  entry.patch?.(block)
  block.fill(0x20, 148, 156)
  let sum = 0
  for (const byte of block) sum += byte
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return block
}

function pad(body: Buffer): Buffer {
  return Buffer.concat([body, Buffer.alloc((512 - (body.length % 512)) % 512)])
}
