import { throwIfAborted } from '../abort.ts'
import { RegistryError } from '../errors.ts'
import { archiveError, badArchive } from './archive-error.ts'
import type { ArchiveCursor, ArchiveInput } from './archive-input.ts'
import { BLOCK_BYTES, decodeHeader, decodePax, paddingOf, type TarHeader } from './tar-header.ts'

/** A file, or a link to one, in an archive. */
export interface ArchiveMember {
  /** Relative, without `.` and `..`. */
  name: string
  /** Where its content begins, in bytes of the uncompressed archive. */
  offset: number
  size: number
  /** For a link: the member that it leads to. */
  target?: string
}

/** How much an archive may hold. */
export interface ArchiveLimits {
  /** Default 100 000. */
  members?: number
  /** Of the uncompressed archive. Default 64 GiB. */
  totalBytes?: number
}

const MAX_EXTENDED_BYTES = 1024 * 1024
const GIB = 1024 ** 3

/**
 * Read the headers of a tar archive and nothing else.
 *
 * Readers that disagree about an archive can be made to see different images, so what one may read this
 * way and another that way is refused: two members of one name, names that lead out of the archive,
 * links with content, members that are neither file, directory nor link. Throws `ERR_REGISTRY_ARCHIVE`,
 * `ERR_REGISTRY_TOO_LARGE`.
 */
export async function scanTar(
  input: ArchiveInput,
  limits: ArchiveLimits = {},
  signal?: AbortSignal,
): Promise<Map<string, ArchiveMember>> {
  const { members: maxMembers = 100_000, totalBytes = 64 * GIB } = limits
  const members = new Map<string, ArchiveMember>()
  const cursor = input.cursor()
  try {
    let count = 0
    for await (const member of readMembers(input, cursor, totalBytes)) {
      throwIfAborted(signal)
      if (++count > maxMembers) throw tooLarge(input.path, `${maxMembers} members`)
      if (member.kind === 'directory') continue
      if (members.has(member.name))
        throw badArchive(input.path, `${shown(member.name)} is in it twice`)
      const { kind: _, ...rest } = member
      members.set(member.name, rest)
    }
    return members
  } catch (error) {
    throw archiveError('read', input.path, error)
  } finally {
    await cursor.close()
  }
}

/** Follow links, at most eight. Undefined if there is nothing in the end. */
export function findMember(
  members: ReadonlyMap<string, ArchiveMember>,
  name: string,
): ArchiveMember | undefined {
  let found = members.get(name)
  for (let links = 0; found?.target !== undefined; links++) {
    if (links === 8) return undefined
    found = members.get(found.target)
  }
  return found
}

type ScannedMember = ArchiveMember & { kind: 'file' | 'directory' | 'link' }

async function* readMembers(
  { path, size: total }: ArchiveInput,
  cursor: ArchiveCursor,
  maxBytes: number,
): AsyncGenerator<ScannedMember, void, undefined> {
  let position = 0
  let extended: Extended = {}
  const advance = async (length: number) => {
    position += length
    if (position > maxBytes) throw tooLarge(path, `${maxBytes} bytes`)
  }
  for (;;) {
    const block = await cursor.read(BLOCK_BYTES)
    if (block.length === 0) return
    if (block.length < BLOCK_BYTES) throw badArchive(path, 'it is cut short')
    await advance(BLOCK_BYTES)
    const header = decode(block, path, position === BLOCK_BYTES)
    if (header === undefined) return
    if (EXTENSIONS.has(header.type)) {
      if (header.size > MAX_EXTENDED_BYTES)
        throw badArchive(path, 'an extended header is too large')
      const length = header.size + paddingOf(header.size)
      const content = await cursor.read(length)
      if (content.length < length) throw badArchive(path, 'it is cut short')
      await advance(length)
      extended = { ...extended, ...readExtension(header, content.subarray(0, header.size), path) }
      continue
    }
    const member = memberOf(header, extended, position, path)
    extended = {}
    const length = member.size + paddingOf(member.size)
    if (total !== undefined && position + member.size > total)
      throw badArchive(path, 'it is cut short')
    await advance(length)
    if (!(await cursor.skip(length))) throw badArchive(path, 'it is cut short')
    yield member
  }
}

function decode(block: Uint8Array, path: string, isFirst: boolean): TarHeader | undefined {
  try {
    return decodeHeader(block)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw badArchive(path, isFirst ? 'it is not a tar archive' : why, { cause })
  }
}

/** What the headers before a member say about it. */
interface Extended {
  path?: string
  linkPath?: string
  size?: number
}

/** PAX for one member, PAX for all, and GNU tar's long names. */
const EXTENSIONS = new Set(['x', 'g', 'L', 'K'])

function readExtension({ type }: TarHeader, content: Uint8Array, path: string): Extended {
  const text = () => Buffer.from(content).toString('utf8').replace(/\0+$/, '')
  if (type === 'L') return { path: text() }
  if (type === 'K') return { linkPath: text() }
  const records = parsePax(content, path)
  const [name, linkPath, size] = [records.get('path'), records.get('linkpath'), records.get('size')]
  if (type === 'g') {
    if (name === undefined && linkPath === undefined && size === undefined) return {}
    throw badArchive(path, 'a header for all members gives a name or a size')
  }
  if (size !== undefined && !/^\d{1,15}$/.test(size))
    throw badArchive(path, 'a size is not a number')
  return {
    ...(name === undefined ? {} : { path: name }),
    ...(linkPath === undefined ? {} : { linkPath }),
    ...(size === undefined ? {} : { size: Number(size) }),
  }
}

function parsePax(content: Uint8Array, path: string): Map<string, string> {
  try {
    const records = decodePax(content)
    const odd = [...records.keys()].find((key) => key.startsWith('GNU.sparse.'))
    if (odd === undefined) return records
  } catch (cause) {
    throw badArchive(path, 'an extended header is damaged', { cause })
  }
  throw badArchive(path, 'it holds a sparse file')
}

const KINDS: Record<string, 'link' | 'directory'> = { '1': 'link', '2': 'link', '5': 'directory' }

function memberOf(
  header: TarHeader,
  extended: Extended,
  offset: number,
  path: string,
): ScannedMember {
  const name = normalName(extended.path ?? header.name, path)
  const size = extended.size ?? header.size
  const isOldDirectory = header.type === '0' && size === 0 && header.name.endsWith('/')
  if (header.type === '0' && !isOldDirectory) return { kind: 'file', name, offset, size }
  const kind = isOldDirectory ? 'directory' : KINDS[header.type]
  if (kind === undefined) {
    throw badArchive(path, `${shown(name)} is neither a file, a directory nor a link`)
  }
  if (size !== 0) throw badArchive(path, `${shown(name)} is not a file and has content`)
  if (kind === 'directory') return { kind, name, offset, size }
  const link = extended.linkPath ?? header.linkName
  const base = header.type === '2' ? name.split('/').slice(0, -1) : []
  return { kind: 'link', name, offset, size, target: linkTarget(base, link, name, path) }
}

function normalName(name: string, path: string): string {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.')
  if (name.startsWith('/') || parts.includes('..') || name.includes('\0')) {
    throw badArchive(path, `the name ${shown(name)} leads out of it`)
  }
  return parts.join('/')
}

/** Docker writes links such as `../ID/layer.tar`; they stay inside. */
function linkTarget(base: string[], link: string, name: string, path: string): string {
  const parts = [...base]
  const outside = () => badArchive(path, `the link ${shown(name)} leads out of it`)
  if (link.startsWith('/')) throw outside()
  for (const part of link.split('/')) {
    if (part === '' || part === '.') continue
    if (part !== '..') parts.push(part)
    else if (parts.pop() === undefined) throw outside()
  }
  return parts.join('/')
}

function shown(name: string): string {
  return JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}…` : name)
}

function tooLarge(path: string, limit: string): RegistryError {
  return new RegistryError('ERR_REGISTRY_TOO_LARGE', `${path} is too large: more than ${limit}`, {
    path,
    expected: `at most ${limit}`,
  })
}
