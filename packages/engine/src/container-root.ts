import { chmodSync, mkdirSync, statSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { OverlaySpec } from '@cromwell/ns-native'
import type { MountConfig } from '@cromwell/runtime'
import type { ComposedRoot } from './composed-root.ts'
import type { RootSource } from './root-source.ts'

/** How a container's root comes about when it starts. */
export interface ContainerRoot {
  /** Mounted as the root. */
  overlay?: OverlaySpec
  /** Mounted into it before anything else. */
  mounts: MountConfig[]
}

/** One overlay over all of the source, whose changes stay in the container's directory. */
export function makeOverlayRoot(
  directory: string,
  { lowerDirs }: RootSource,
  { volatile }: { volatile: boolean },
): ContainerRoot {
  const upperDir = join(directory, 'upper')
  const workDir = join(directory, 'work')
  // The root of an overlay looks as its upper directory does.
  const top = lowerDirs.at(-1)
  makeDirectory(upperDir, top === undefined ? 0o755 : statSync(top).mode & 0o7777)
  makeDirectory(workDir, 0o700)
  makeDirectory(join(directory, 'rootfs'), 0o755)
  return { overlay: { lowerDirs, upperDir, workDir, volatile }, mounts: [] }
}

/** A directory of links and mount points, with an overlay for each part of the source. */
export function makeComposedRoot(
  directory: string,
  { lowerDirs: [source = '/'] }: RootSource,
  { root, volatile }: { root: ComposedRoot; volatile: boolean },
): ContainerRoot {
  const rootfs = join(directory, 'rootfs')
  const upper = join(directory, 'upper')
  const work = join(directory, 'work')
  makeDirectory(rootfs, statSync(source).mode & 0o7777)
  makeDirectory(upper, 0o700)
  makeDirectory(work, 0o700)
  for (const { path, mode } of root.directories) makeDirectory(join(rootfs, path), mode | 0o700)
  for (const { path, target } of root.links) symlinkSync(target, join(rootfs, path))

  const overlays = root.overlays.map((destination, index): MountConfig => {
    const lower = join(source, destination)
    const upperDir = join(upper, String(index))
    const workDir = join(work, String(index))
    makeDirectory(upperDir, statSync(lower).mode & 0o7777)
    makeDirectory(workDir, 0o700)
    const layers = [`lowerdir=${escapeLower(lower)}`, `upperdir=${upperDir}`, `workdir=${workDir}`]
    const options = [...layers, 'userxattr', 'nodev', ...(volatile ? ['volatile'] : [])]
    return { destination, type: 'overlay', source: 'overlay', options }
  })
  const files = root.files.map((destination): MountConfig => {
    const options = ['rbind', 'rprivate', 'ro', 'nosuid', 'nodev']
    return { destination, type: 'bind', source: join(source, destination), options }
  })
  return { mounts: [...overlays, ...files] }
}

function makeDirectory(path: string, mode: number): void {
  mkdirSync(path)
  chmodSync(path, mode) // whatever the umask
}

/** In `lowerdir=`, a colon separates (overlayfs.rst). */
function escapeLower(path: string): string {
  return path.replace(/[\\:]/g, '\\$&')
}
