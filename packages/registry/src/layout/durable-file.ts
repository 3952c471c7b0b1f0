import { randomBytes } from 'node:crypto'
import { mkdir, open, rename, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** The file's suffix while it is being written; what still has it after an hour is garbage. */
export const TEMPORARY_SUFFIX = '.tmp'

/**
 * Write a file so that a crash at any instant leaves the old content or the new.
 *
 * It grows in `directory`, which must be on the same file system. Default: beside the file.
 */
export async function writeDurably(
  path: string,
  content: Uint8Array | string,
  directory = dirname(path),
): Promise<void> {
  const unique = randomBytes(6).toString('hex')
  const temporary = join(directory, `${basename(path)}.${unique}${TEMPORARY_SUFFIX}`)
  try {
    const handle = await open(temporary, 'wx', 0o600)
    try {
      await handle.writeFile(content)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await renameDurably(temporary, path)
  } catch (error) {
    await unlink(temporary).catch(() => {})
    throw error
  }
}

/** Rename a synced file, and sync the directory that now names it. */
export async function renameDurably(from: string, to: string): Promise<void> {
  await rename(from, to)
  const directory = await open(dirname(to), 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** Make these directories below `root`, and `root` itself, readable for nobody else. */
export async function makePrivateDirectories(root: string, ...below: string[]): Promise<void> {
  for (const directory of ['', ...below]) {
    await mkdir(join(root, directory), { recursive: true, mode: 0o700 })
  }
}
