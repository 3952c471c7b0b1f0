import { chmodSync, fstatSync, lstatSync, readdirSync, readlinkSync } from 'node:fs'
import { type ByteString, toByteString } from './byte-string.ts'
import type { Dentry, LowerEntry } from './dentry.ts'
import type { LowerSource } from './dentry-tree.ts'
import type { DirectoryHandles } from './directory-handles.ts'
import { kindOf } from './merged-lower.ts'

/** The lower part when a layer is applied on top of what its target directory already holds. */
export class InPlaceLower implements LowerSource {
  readonly #handles: DirectoryHandles
  readonly #rootFd: number
  /** Directories whose owner could not use them, until their mode is put back. */
  readonly unlocked = new Set<Dentry>()

  constructor(handles: DirectoryHandles) {
    this.#handles = handles
    this.#rootFd = handles.rootFd
  }

  root(): LowerEntry {
    return { kind: 'directory', stat: fstatSync(this.#rootFd), target: undefined, paths: [] }
  }

  find(directory: Dentry, name: ByteString): LowerEntry | undefined {
    if (directory.hidden || directory.kind !== 'directory') return undefined
    this.#unlock(directory)
    const path = this.#handles.path(directory, name)
    const stat = lstatSync(path, { throwIfNoEntry: false })
    if (stat === undefined) return undefined
    const kind = kindOf(stat)
    const target =
      kind === 'symlink' ? toByteString(readlinkSync(path, { encoding: 'buffer' })) : undefined
    return { kind, stat, target, paths: [] }
  }

  names(directory: Dentry): ByteString[] {
    if (directory.hidden || directory.kind !== 'directory') return []
    this.#unlock(directory)
    const self = `/proc/self/fd/${this.#handles.fd(directory)}`
    return readdirSync(self, { encoding: 'buffer' }).map(toByteString)
  }

  #unlock(directory: Dentry): void {
    const mode = directory.lower?.stat.mode ?? 0o700
    if ((mode & 0o700) === 0o700 || this.unlocked.has(directory)) return
    chmodSync(`/proc/self/fd/${this.#handles.fd(directory)}`, (mode & 0o7777) | 0o700)
    this.unlocked.add(directory)
  }
}
