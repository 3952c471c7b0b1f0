import { type BigIntStats, closeSync, constants, openSync, readSync } from 'node:fs'
import type { FileKind, OverlayChange } from './change.ts'
import { compareNames, Directory, type Name } from './directory.ts'
import { attributesOf, isWhiteout, type MarkNames, opacity, refuseIndirection } from './marks.ts'

/** Directories by their paths; lower ones base first. */
export interface OverlayDirectories {
  upperDir: string
  lowerDirs: readonly string[]
  /** `user` unless given. */
  marks?: MarkNames
}

/** What a name is in the layers below; `directories` are merged, topmost first. */
interface LowerEntry {
  stat: BigIntStats
  /** Where it is: the layer's directory that holds it. */
  holder: Directory
  holders: readonly Directory[]
}

interface Merged {
  upper: Directory
  /** Topmost first. */
  lower: readonly Directory[]
  /** Nothing of the lower ones shows through. */
  opaque: boolean
  path: Name
}

/**
 * What was changed, in the order of a depth-first walk with names sorted by their bytes. Synchronous;
 * runs with the container's ids. The top directory itself is not compared.
 */
export function* readChanges(overlay: OverlayDirectories): Generator<OverlayChange> {
  const { upperDir, lowerDirs, marks = 'user' } = overlay
  const open: Directory[] = []
  try {
    for (const path of [upperDir, ...lowerDirs.toReversed()]) open.push(Directory.open(path))
    const [upper, ...lower] = open
    if (upper !== undefined) yield* readDirectory({ upper, lower, opaque: false, path: '' }, marks)
  } finally {
    for (const directory of open) directory.close()
  }
}

function* readDirectory(merged: Merged, marks: MarkNames): Generator<OverlayChange> {
  const { upper, lower, opaque, path } = merged
  const names = new Set(upper.names())
  const hidden = opaque ? lowerNames(lower, marks).filter((name) => !names.has(name)) : []
  for (const name of [...names, ...hidden].sort(compareNames)) {
    const below = lowerEntry(lower, name, marks)
    const stat = names.has(name) ? upper.stat(name) : undefined
    const at = `${path}/${name}`
    if (stat === undefined || isWhiteout(upper, name, stat, marks)) {
      if (below !== undefined) yield { type: 'delete', ...named(at), kind: kindOf(below.stat) }
      continue
    }
    refuseIndirection(upper, name, stat, marks)
    yield* readEntry(merged, name, stat, below)
    if (stat.isDirectory()) yield* readBelow(merged, name, below, marks)
  }
}

function* readEntry(
  { upper, path }: Merged,
  name: Name,
  stat: BigIntStats,
  below: LowerEntry | undefined,
): Generator<OverlayChange> {
  if (below !== undefined && isSame(upper, name, stat, below)) return
  const previousKind = below === undefined ? undefined : kindOf(below.stat)
  const kind = kindOf(stat)
  yield {
    type: below === undefined ? 'add' : 'modify',
    ...named(`${path}/${name}`),
    kind,
    ...(previousKind === undefined || previousKind === kind ? {} : { previousKind }),
    mode: Number(stat.mode & 0o7777n),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    ...(kind === 'file' ? { sizeBytes: Number(stat.size) } : {}),
    ...(kind === 'symlink' ? { target: upper.readlink(name).toString() } : {}),
  }
}

function* readBelow(
  merged: Merged,
  name: Name,
  below: LowerEntry | undefined,
  marks: MarkNames,
): Generator<OverlayChange> {
  const lower = below?.stat.isDirectory() ? below.holders : []
  const opened: Directory[] = []
  try {
    for (const holder of lower) opened.push(holder.enter(name))
    const upper = merged.upper.enter(name)
    opened.push(upper)
    const opaque = merged.opaque || opacity(merged.upper, name, marks) === 'y'
    const path = `${merged.path}/${name}`
    yield* readDirectory({ upper, lower: opened.slice(0, -1), opaque, path }, marks)
  } finally {
    for (const directory of opened) directory.close()
  }
}

/** What overlayfs would show for a name without the upper directory. */
function lowerEntry(
  lower: readonly Directory[],
  name: Name,
  marks: MarkNames,
): LowerEntry | undefined {
  let first: { stat: BigIntStats; holder: Directory } | undefined
  const holders: Directory[] = []
  for (const holder of lower) {
    const stat = holder.stat(name)
    if (stat === undefined) continue
    if (isWhiteout(holder, name, stat, marks)) break
    if (first !== undefined && !stat.isDirectory()) break
    first ??= { stat, holder }
    holders.push(holder)
    if (!stat.isDirectory() || opacity(holder, name, marks) === 'y') break
  }
  return first === undefined ? undefined : { ...first, holders }
}

function lowerNames(lower: readonly Directory[], marks: MarkNames): Name[] {
  const names = new Set(lower.flatMap((directory) => directory.names()))
  return [...names].filter((name) => lowerEntry(lower, name, marks) !== undefined)
}

/** Whether copying a file up changed nothing; a directory's time says nothing of itself. */
function isSame(upper: Directory, name: Name, stat: BigIntStats, below: LowerEntry): boolean {
  const { stat: old, holder } = below
  if (stat.mode !== old.mode || stat.uid !== old.uid || stat.gid !== old.gid) return false
  if (!sameAttributes(attributesOf(upper.at(name)), attributesOf(holder.at(name)))) return false
  if (stat.isDirectory()) return true
  if (stat.isSymbolicLink()) return upper.readlink(name).equals(holder.readlink(name))
  if (stat.rdev !== old.rdev || stat.size !== old.size) return false
  // applyChanges sets times to the microsecond
  if (stat.mtimeNs / 1000n !== old.mtimeNs / 1000n) return false
  return !stat.isFile() || sameContent(upper.at(name), holder.at(name))
}

function sameAttributes(a: Map<string, Buffer>, b: Map<string, Buffer>): boolean {
  return a.size === b.size && [...a].every(([name, value]) => b.get(name)?.equals(value) === true)
}

function sameContent(a: Buffer, b: Buffer): boolean {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const fds: number[] = []
  try {
    const [one, other] = [a, b].map((path) => {
      const fd = openSync(path, flags)
      fds.push(fd)
      return chunks(fd)
    })
    for (;;) {
      const [left, right] = [one?.next().value, other?.next().value]
      if (left === undefined || right === undefined) return left === right
      if (!left.equals(right)) return false
    }
  } finally {
    for (const fd of fds) closeSync(fd)
  }
}

function* chunks(fd: number): Generator<Buffer, undefined> {
  const buffer = Buffer.allocUnsafe(1 << 18)
  for (;;) {
    const size = readSync(fd, buffer)
    if (size === 0) return undefined
    yield buffer.subarray(0, size)
  }
}

/** A path as text, and as bytes where those are not it. */
function named(path: Name): { path: string; rawPath?: Uint8Array } {
  const bytes = Buffer.from(path, 'latin1')
  const text = bytes.toString()
  return Buffer.from(text).equals(bytes) ? { path: text } : { path: text, rawPath: bytes }
}

function kindOf(stat: BigIntStats): FileKind {
  if (stat.isDirectory()) return 'directory'
  if (stat.isSymbolicLink()) return 'symlink'
  if (stat.isFIFO()) return 'fifo'
  if (stat.isSocket()) return 'socket'
  if (stat.isCharacterDevice()) return 'character-device'
  return stat.isBlockDevice() ? 'block-device' : 'file'
}
