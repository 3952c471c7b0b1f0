import type { ByteString } from './byte-string.ts'
import { Dentry, type LowerEntry } from './dentry.ts'
import { enforceLimit, type Limits } from './limits.ts'

/** Where the tree learns what is below the current layer. */
export interface LowerSource {
  root(): LowerEntry | undefined
  /** What `directory`, which has a lower directory, holds under `name`. */
  find(directory: Dentry, name: ByteString): LowerEntry | undefined
  /** All names in a lower directory. */
  names(directory: Dentry): ByteString[]
}

/**
 * The merged tree in memory, filled as it is asked. It answers without a system call whatever this
 * process has itself written, so that an archive's own symlinks can never take it by surprise.
 */
export class DentryTree {
  readonly root: Dentry
  readonly #source: LowerSource
  readonly #limits: Limits

  constructor(source: LowerSource, limits: Limits) {
    this.#source = source
    this.#limits = limits
    this.root = new Dentry(undefined, '', source.root())
  }

  /** The child of a directory, existing or not. */
  child(directory: Dentry, name: ByteString): Dentry {
    const known = directory.children.get(name)
    if (known !== undefined) return known
    if (directory.depth >= this.#limits.depth) {
      enforceLimit(this.#limits, 'depth', directory.depth + 1, directory.path)
    }
    const lower =
      directory.lower?.kind === 'directory' ? this.#source.find(directory, name) : undefined
    const child = new Dentry(directory, name, lower)
    directory.children.set(name, child)
    return child
  }

  /** The names in the lower part of a directory, hidden or not. */
  lowerNames(directory: Dentry): ByteString[] {
    return directory.lower?.kind === 'directory' ? this.#source.names(directory) : []
  }

  /**
   * Walk `components` from the root as a process chrooted there would: symlinks are followed, absolute
   * ones from the root, and `..` stops at it. The last component is followed only with `followLast`.
   * What is missing is returned as a dentry without a kind. Throws `ERR_ROOTFS_LIMIT` (linkHops, depth).
   */
  resolve(components: readonly ByteString[], followLast: boolean): Dentry {
    const pending = components.toReversed()
    let current = this.root
    let hops = 0
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      if (name === '' || name === '.') continue
      if (name === '..') {
        current = current.parent ?? this.root
        continue
      }
      const next = this.child(current, name)
      const target = next.kind === 'symlink' ? next.target : undefined
      if (target === undefined || (pending.length === 0 && !followLast)) {
        current = next
        continue
      }
      if (++hops > this.#limits.linkHops) enforceLimit(this.#limits, 'linkHops', hops, next.path)
      if (target.startsWith('/')) current = this.root
      for (const part of target.split('/').toReversed()) pending.push(part)
    }
    return current
  }
}
