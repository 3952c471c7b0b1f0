import { type ByteString, printable } from './byte-string.ts'
import { RootfsError } from './errors.ts'
import type { TarEntry } from './tar-entry.ts'

/** What the last component of an entry's name asks for (OCI image-spec, layer.md, "Whiteouts"). */
export type NameMeaning =
  | { meaning: 'entry' }
  /** Hide `target` in the lower layers. */
  | { meaning: 'whiteout'; target: ByteString }
  /** Hide everything that the lower layers have in the parent. */
  | { meaning: 'opaque' }
  /** Book-keeping of aufs, which old images contain and nobody extracts. */
  | { meaning: 'aufs' }

const PREFIX = '.wh.'
const AUFS_PREFIX = '.wh..wh.'
const OPAQUE = '.wh..wh..opq'
const ENTRY: NameMeaning = { meaning: 'entry' }

/** Interpret an entry's name. Throws `ERR_ROOTFS_WHITEOUT` for whiteouts that the spec does not know. */
export function classifyName(entry: TarEntry, components: readonly ByteString[]): NameMeaning {
  if (!entry.name.includes(PREFIX)) return ENTRY
  const last = components.at(-1) ?? ''
  const parents = components.slice(0, -1)
  if (last === OPAQUE && !parents.some(isReserved)) return { meaning: 'opaque' }
  if (components.some((component) => component.startsWith(AUFS_PREFIX))) return { meaning: 'aufs' }
  if (parents.some(isReserved)) throw invalid(entry, 'it is below a whiteout')
  if (!isReserved(last)) return ENTRY
  const target = last.slice(PREFIX.length)
  if (target === '' || target === '.' || target === '..') throw invalid(entry, 'it hides no name')
  if (entry.type === 'directory') throw invalid(entry, 'it is a directory')
  return { meaning: 'whiteout', target }
}

function isReserved(component: ByteString): boolean {
  return component.startsWith(PREFIX)
}

function invalid(entry: TarEntry, why: string): RootfsError {
  const name = printable(entry.name)
  return new RootfsError('ERR_ROOTFS_WHITEOUT', `cannot apply the whiteout ${name}: ${why}`, {
    entry: name,
  })
}
