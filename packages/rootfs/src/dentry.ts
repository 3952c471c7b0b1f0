import type { Stats } from 'node:fs'
import type { ByteString } from './byte-string.ts'

/** What a name stands for, as far as finding paths is concerned. */
export type DentryKind = 'directory' | 'symlink' | 'other'

/** What was at a path before the current layer. */
export interface LowerEntry {
  kind: DentryKind
  stat: Stats
  /** Where a symlink points. */
  target: ByteString | undefined
  /** Where it is on this host: one path, or for a directory all that are merged, topmost first. */
  paths: ByteString[]
}

/**
 * One name of the merged tree, as this process knows it. The layer being applied is the *upper* part;
 * everything before it is the *lower* part.
 */
export class Dentry {
  readonly parent: Dentry | undefined
  readonly name: ByteString
  readonly depth: number
  readonly lower: LowerEntry | undefined
  readonly children = new Map<ByteString, Dentry>()
  /** This layer names it: it is more than a copy, or a directory on the way to something. */
  explicit = false
  /** What this layer has put here. */
  upper: DentryKind | undefined
  /** Where the symlink in `upper` points. */
  upperTarget: ByteString | undefined
  /** `lower` is no longer visible: whited out, below an opaque directory, or replaced. */
  hidden: boolean

  constructor(parent: Dentry | undefined, name: ByteString, lower: LowerEntry | undefined) {
    this.parent = parent
    this.name = name
    this.depth = parent === undefined ? 0 : parent.depth + 1
    this.lower = lower
    this.hidden = parent?.hidden ?? false
  }

  /** The lower entry, unless it is hidden. */
  get visibleLower(): LowerEntry | undefined {
    return this.hidden ? undefined : this.lower
  }

  /** What stands here now; undefined when nothing does. */
  get kind(): DentryKind | undefined {
    return this.upper ?? this.visibleLower?.kind
  }

  /** Where the symlink that stands here points. */
  get target(): ByteString | undefined {
    return this.upper === undefined ? this.visibleLower?.target : this.upperTarget
  }

  /** The path from the root, for messages. */
  get path(): ByteString {
    return this.parent === undefined
      ? '/'
      : `${this.parent.depth === 0 ? '' : this.parent.path}/${this.name}`
  }
}
