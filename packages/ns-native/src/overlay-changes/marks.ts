import type { BigIntStats } from 'node:fs'
import { NamespaceError } from '../errors.ts'
import { nativeFs } from '../native-fs.ts'
import type { Directory, Name } from './directory.ts'

// How overlayfs says in an upper directory what a plain directory cannot say: Linux
// Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories". With the mount option
// `userxattr`, as all our overlays have it, its attributes are called user.overlay.*.

/** Which names overlayfs gives its attributes: `user` with the mount option userxattr. */
export type MarkNames = 'user' | 'trusted'

/** What a directory says of itself: `y`, what is below does not show; `x`, there are whiteouts by attribute in it. */
export function opacity(directory: Directory, name: Name, marks: MarkNames): string {
  return read(directory.at(name), `${marks}.overlay.opaque`)?.toString('latin1') ?? ''
}

/** Whether this is a deleted name: a device 0:0, or since Linux 6.7 an empty file that is marked. */
export function isWhiteout(
  directory: Directory,
  name: Name,
  stat: BigIntStats,
  marks: MarkNames,
): boolean {
  if (stat.isCharacterDevice()) return stat.rdev === 0n
  if (!stat.isFile() || stat.size !== 0n) return false
  return read(directory.at(name), `${marks}.overlay.whiteout`) !== undefined
}

/** Refuse what is only to be understood with other layers: features that our overlays have turned off. */
export function refuseIndirection(
  directory: Directory,
  name: Name,
  stat: BigIntStats,
  marks: MarkNames,
): void {
  if (!stat.isFile() && !stat.isDirectory()) return
  for (const feature of ['redirect', 'metacopy']) {
    if (read(directory.at(name), `${marks}.overlay.${feature}`) === undefined) continue
    const path = Buffer.from(name, 'latin1').toString()
    throw new NamespaceError(
      'ERR_NS_OVERLAY',
      `cannot read the overlay: ${path} has a ${feature}`,
      {
        path,
        hint: 'mount the overlay with redirect_dir=nofollow and metacopy=off',
      },
    )
  }
}

/** The attributes of a file without overlayfs' own and the kernel's labels. */
export function attributesOf(path: Buffer): Map<string, Buffer> {
  const attributes = new Map<string, Buffer>()
  for (const name of list(path).sort()) {
    if (/^(user|trusted)\.overlay\./.test(name) || name === 'security.selinux') continue
    const value = read(path, name)
    if (value !== undefined) attributes.set(name, value)
  }
  return attributes
}

function list(path: Buffer): string[] {
  return withoutSupport(() => nativeFs.listxattr(path)) ?? []
}

function read(path: Buffer, name: string): Buffer | undefined {
  return withoutSupport(() => nativeFs.getxattr(path, name))
}

/** Undefined where the file system, or this kind of file, has no such attributes. */
function withoutSupport<T>(call: () => T): T | undefined {
  try {
    return call()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException // nativeFs throws what node:fs does
    if (code === 'EOPNOTSUPP' || code === 'ENOTSUP' || code === 'EPERM') return undefined
    throw error
  }
}
