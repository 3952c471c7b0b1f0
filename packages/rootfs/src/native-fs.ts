/**
 * The system calls that unpacking needs and Node does not have. `@cromwell/ns-native` exports an
 * implementation; the caller passes it in. Every method throws an `Error` whose `code` is the errno's name.
 */
export interface NativeFs {
  /** mknod(2): `mode` with its S_IFMT bits, `dev` in the kernel's encoding. */
  mknod(path: string | Buffer, mode: number, dev: number): void
  /** lsetxattr(2): never follows a symlink. */
  setxattr(path: string | Buffer, name: string, value: Uint8Array): void
  /** lgetxattr(2): undefined when there is no such attribute. */
  getxattr(path: string | Buffer, name: string): Buffer | undefined
  /** syncfs(2) of the file system that holds `path`. */
  syncfs(path: string | Buffer): void
  /** llistxattr(2), where the implementation has it: needed to copy attributes that we cannot guess. */
  listxattr?(path: string | Buffer): string[]
}

/** File type bits of `st_mode` (inode(7)). */
export const S_IFMT = 0o170000
export const S_IFCHR = 0o020000
export const S_IFBLK = 0o060000
export const S_IFIFO = 0o010000

/**
 * The number that mknod(2) takes for a device, as glibc's makedev(3) builds it.
 * Undefined when Linux cannot hold it (12 bits of major, 20 of minor).
 */
export function deviceNumber(major: number, minor: number): number | undefined {
  if (major < 0 || major > 0xfff || minor < 0 || minor > 0xfffff) return undefined
  return (minor & 0xfff00) * 0x1000 + ((major << 8) | (minor & 0xff))
}
