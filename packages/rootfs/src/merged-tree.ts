import { type ByteString, encodePath } from './byte-string.ts'
import type { Dentry } from './dentry.ts'
import { DentryTree } from './dentry-tree.ts'
import { DEFAULT_LIMITS } from './limits.ts'
import { MergedLower } from './merged-lower.ts'
import type { NativeFs } from './native-fs.ts'

/** The tree that overlayfs would show for `lowerDirs` (base first), read-only. */
export function openMergedTree(
  lowerDirs: readonly string[],
  native: NativeFs | undefined,
): DentryTree {
  return new DentryTree(new MergedLower(lowerDirs, native), DEFAULT_LIMITS)
}

/** What stands at `path` as a process inside the tree would find it, symlinks followed. */
export function lookUp(tree: DentryTree, path: string): Dentry {
  const components: ByteString[] = encodePath(path).split('/')
  return tree.resolve(components, true)
}
