import {
  type BigIntStats,
  chmodSync,
  chownSync,
  closeSync,
  constants,
  copyFileSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  futimesSync,
  lchownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  renameSync,
  symlinkSync,
  utimesSync,
} from 'node:fs'
import { nativeFs } from '../native-fs.ts'
import { Directory, type Name, using } from './directory.ts'
import { attributesOf, isWhiteout, type MarkNames, opacity, refuseIndirection } from './marks.ts'

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = constants

/** How much was done. */
export interface Applied {
  written: number
  removed: number
}

/**
 * Make in a directory what an upper directory says: afterwards it has what the overlay shows, if it
 * was the layer below. Each file is written beside its place and renamed there; what is there already is
 * replaced, never followed or written to. What was half done is done by doing it again. The two top
 * directories keep their own metadata.
 */
export function applyUpper(upperDir: string, to: string, marks: MarkNames = 'user'): Applied {
  return using(Directory.open(upperDir), (upper) =>
    using(Directory.open(to), (target) => {
      const apply = new Apply(target, marks)
      apply.directory(upper, target, { exact: false, path: [] })
      return apply.applied
    }),
  )
}

interface Place {
  /** What the upper directory does not have is to go: something above it was opaque. */
  exact: boolean
  path: readonly Name[]
}

class Apply {
  readonly applied: Applied = { written: 0, removed: 0 }
  readonly #top: Directory
  readonly #marks: MarkNames
  /** Files with several names, by device and inode: where the first of them is in the target. */
  readonly #links = new Map<string, readonly Name[]>()

  constructor(top: Directory, marks: MarkNames) {
    this.#top = top
    this.#marks = marks
  }

  directory(upper: Directory, target: Directory, { exact, path }: Place): void {
    const names = upper.names()
    if (exact) for (const name of without(target.names(), names)) this.#remove(target, name)
    for (const name of names) {
      const stat = upper.stat(name)
      if (stat === undefined) continue
      if (isWhiteout(upper, name, stat, this.#marks)) this.#remove(target, name)
      else {
        refuseIndirection(upper, name, stat, this.#marks)
        const place = { exact, path: [...path, name] }
        if (stat.isDirectory()) this.#subdirectory(upper, target, name, stat, place)
        else this.#entry(upper, target, name, stat, place.path)
      }
    }
  }

  #subdirectory(upper: Directory, target: Directory, name: Name, stat: BigIntStats, at: Place) {
    const there = target.stat(name)
    if (there !== undefined && !there.isDirectory()) this.#remove(target, name)
    if (there?.isDirectory() !== true) mkdirSync(target.at(name), 0o700)
    const exact = at.exact || opacity(upper, name, this.#marks) === 'y'
    using(target.enter(name), (to) => {
      if (there !== undefined) chmodSync(to.self, 0o700)
      using(upper.enter(name), (from) => this.directory(from, to, { exact, path: at.path }))
      chownSync(to.self, Number(stat.uid), Number(stat.gid))
      copyAttributes(upper.at(name), target.at(name))
      chmodSync(to.self, Number(stat.mode & 0o7777n))
      utimesSync(to.self, seconds(stat.atimeNs), seconds(stat.mtimeNs))
    })
    this.applied.written++
  }

  #entry(
    upper: Directory,
    target: Directory,
    name: Name,
    stat: BigIntStats,
    path: readonly Name[],
  ): void {
    const inode = `${stat.dev}:${stat.ino}`
    const first = stat.nlink > 1n ? this.#links.get(inode) : undefined
    const temporary = `.apply-${process.pid}-${Math.random().toString(36).slice(2)}`
    try {
      if (first !== undefined) this.#link(first, target.at(temporary))
      else write(upper, name, stat, target, temporary)
      if (target.stat(name)?.isDirectory()) this.#remove(target, name)
      renameSync(target.at(temporary), target.at(name))
    } catch (error) {
      target.remove(temporary)
      throw error
    }
    // rename(2) does nothing where both names are the same file already.
    if (first !== undefined) target.remove(temporary)
    if (stat.nlink > 1n && first === undefined) this.#links.set(inode, path)
    this.applied.written++
  }

  #link(path: readonly Name[], to: Buffer): void {
    const open: Directory[] = []
    try {
      let holder = this.#top
      for (const name of path.slice(0, -1)) {
        holder = holder.enter(name)
        open.push(holder)
      }
      linkSync(holder.at(path.at(-1) ?? ''), to)
    } finally {
      for (const directory of open) directory.close()
    }
  }

  #remove(target: Directory, name: Name): void {
    if (target.stat(name) === undefined) return
    target.remove(name)
    this.applied.removed++
  }
}

function without(names: readonly Name[], keep: readonly Name[]): Name[] {
  const kept = new Set(keep)
  return names.filter((name) => !kept.has(name))
}

/** A copy of one file that is no directory, under a name that is not there yet. */
function write(
  upper: Directory,
  name: Name,
  stat: BigIntStats,
  target: Directory,
  temporary: Name,
): void {
  const path = target.at(temporary)
  if (stat.isFile()) {
    writeFile(upper.at(name), path)
    return
  }
  if (stat.isSymbolicLink()) symlinkSync(upper.readlink(name), path)
  else nativeFs.mknod(path, Number(stat.mode), Number(stat.rdev))
  lchownSync(path, Number(stat.uid), Number(stat.gid))
  // A name of our own that nothing else knows: no link that chmod could follow.
  if (!stat.isSymbolicLink()) chmodSync(path, Number(stat.mode & 0o7777n))
  lutimesSync(path, seconds(stat.atimeNs), seconds(stat.mtimeNs))
}

function writeFile(from: Buffer, to: Buffer): void {
  const source = openSync(from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  try {
    const stat = fstatSync(source, { bigint: true })
    if (!stat.isFile()) throw new Error(`${from.toString()} has become something else`)
    const copy = openSync(to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
    try {
      const share = constants.COPYFILE_FICLONE // blocks, where the file system can
      copyFileSync(`/proc/self/fd/${source}`, `/proc/self/fd/${copy}`, share)
      // chown clears set-user-ID bits and capabilities: so it comes first, and times last.
      fchownSync(copy, Number(stat.uid), Number(stat.gid))
      copyAttributes(from, to)
      fchmodSync(copy, Number(stat.mode & 0o7777n))
      futimesSync(copy, seconds(stat.atimeNs), seconds(stat.mtimeNs))
    } finally {
      closeSync(copy)
    }
  } finally {
    closeSync(source)
  }
}

/** The same attributes, and no others. */
function copyAttributes(from: Buffer, to: Buffer): void {
  const wanted = attributesOf(from)
  for (const name of attributesOf(to).keys()) if (!wanted.has(name)) nativeFs.removexattr(to, name)
  for (const [name, value] of wanted) nativeFs.setxattr(to, name, value)
}

/** Node sets times to the microsecond, rounding down: the half makes it the right one. */
function seconds(nanoseconds: bigint): number {
  return (Number(nanoseconds / 1000n) + 0.5) / 1e6
}
