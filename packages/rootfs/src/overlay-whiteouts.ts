import { type ByteString, printable } from './byte-string.ts'
import type { Dentry } from './dentry.ts'
import type { DentryTree } from './dentry-tree.ts'
import type { DirectoryHandles } from './directory-handles.ts'
import { RootfsError } from './errors.ts'
import { type NativeFs, S_IFCHR } from './native-fs.ts'

/** What {@link writeWhiteouts} works with. */
export interface WhiteoutParts {
  tree: DentryTree
  handles: DirectoryHandles
  native: NativeFs | undefined
}

/**
 * Say in overlayfs' own terms what a layer hides: a character device 0:0 for each hidden name.
 *
 * An opaque directory is spelt out as a whiteout for every lower name in it that the layer does not have
 * itself. That is possible because a layer is unpacked against its own lower layers, and it keeps layers
 * free of overlay attributes: they mean the same with `userxattr`, with `trusted.*`, on file systems
 * without attributes, and to readers that cannot read any.
 */
export function writeWhiteouts(parts: WhiteoutParts): void {
  writeIn(parts, parts.tree.root)
}

function writeIn(parts: WhiteoutParts, directory: Dentry): void {
  for (const name of hiddenNames(parts.tree, directory)) writeWhiteout(parts, directory, name)
  for (const child of directory.children.values()) {
    if (child.upper === 'directory') writeIn(parts, child)
  }
}

function hiddenNames(tree: DentryTree, directory: Dentry): ByteString[] {
  if (directory.hidden) {
    return tree
      .lowerNames(directory)
      .filter((name) => directory.children.get(name)?.upper === undefined)
  }
  return [...directory.children.values()]
    .filter((child) => child.hidden && child.lower !== undefined && child.upper === undefined)
    .map((child) => child.name)
}

/** Since Linux 5.8 this one device needs no privilege (mknod(2), kernel commit a3c751a50fe6). */
function writeWhiteout(
  { handles, native }: WhiteoutParts,
  directory: Dentry,
  name: ByteString,
): void {
  const entry = printable(directory.parent === undefined ? `/${name}` : `${directory.path}/${name}`)
  if (native === undefined) {
    throw new RootfsError(
      'ERR_ROOTFS_UNSUPPORTED',
      `cannot hide ${entry}: overlay whiteouts need native.mknod`,
      {
        entry,
        hint: 'pass the nativeFs of @cromwell/ns-native, or apply the layer in place',
      },
    )
  }
  native.mknod(handles.path(directory, name), S_IFCHR, 0)
}
