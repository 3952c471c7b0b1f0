import { chmodSync, lstatSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { isAbandoned } from './creating-directory.ts'
import { RuntimeError } from './errors.ts'
import { isErrno } from './small-file.ts'

/** How a directory tree is removed; replaceable where its files belong to ids that only a user namespace can act for. */
export type RemoveTree = (directory: string) => Promise<void>

/** Prefix of directories that are no longer containers. */
export const REMOVING_PREFIX = '.removing-'

/**
 * The RemoveTree for trees that belong to the caller. Directories that their owner may not enter,
 * such as the one overlayfs leaves in its work directory, are made enterable.
 */
export async function removeOwnTree(directory: string): Promise<void> {
  const opened = new Set<string>()
  for (;;) {
    try {
      await rm(directory, { recursive: true, force: true, maxRetries: 3 })
      return
    } catch (error) {
      const path = error instanceof Error && 'path' in error ? String(error.path) : ''
      if (!isErrno(error, 'EACCES') || opened.has(path)) throw error
      opened.add(path)
      // Not through a link: the entry that cannot be read is a directory, or rm would have unlinked it.
      if (lstatSync(path).isDirectory()) chmodSync(path, 0o700)
    }
  }
}

/**
 * Make a container's directory go away: first its name, in one step, then what was in it.
 * Does nothing when it is gone. Throws RuntimeError ERR_RUNTIME_STATE.
 */
export async function discard(root: string, id: string, removeTree: RemoveTree): Promise<void> {
  const doomed = `${root}/${REMOVING_PREFIX}${id}-${process.pid}-${Date.now()}`
  try {
    renameSync(`${root}/${id}`, doomed)
    await removeTree(doomed)
  } catch (cause) {
    if (isErrno(cause, 'ENOENT')) return
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new RuntimeError('ERR_RUNTIME_STATE', `cannot remove container ${id}: ${why}`, {
      id,
      path: doomed,
      cause,
    })
  }
}

/**
 * Remove what crashes left of containers being made or removed. Failures are left for the next
 * time: this runs as a courtesy of commands that want something else.
 */
export async function sweep(
  root: string,
  names: readonly string[],
  removeTree: RemoveTree,
): Promise<void> {
  for (const name of names) {
    const path = `${root}/${name}`
    try {
      if (name.startsWith(REMOVING_PREFIX)) await removeTree(path)
      else if (isAbandoned(root, name)) rmSync(path, { recursive: true, force: true })
    } catch {
      // The next command tries again.
    }
  }
}

/** The names in a directory; none when there is no such directory. */
export function readNames(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  }
}
