import { type Binding, loadBinding } from './binding.ts'
import { describeErrno } from './errno.ts'

/** File system calls that Node does not have. All are synchronous and never follow a last symlink. */
export interface NativeFs {
  /** mknod(2); `mode` includes the file type, `dev` is as in `fs.Stats.rdev`. */
  mknod(path: string | Buffer, mode: number, dev: number): void
  /** lsetxattr(2). */
  setxattr(path: string | Buffer, name: string, value: Uint8Array): void
  /** lgetxattr(2); undefined when there is no such attribute. */
  getxattr(path: string | Buffer, name: string): Buffer | undefined
  /** llistxattr(2). */
  listxattr(path: string | Buffer): string[]
  /** lremovexattr(2). */
  removexattr(path: string | Buffer, name: string): void
  /** syncfs(2): write everything of the file system that holds `path` to its medium. */
  syncfs(path: string | Buffer): void
}

const XATTR_MAX_BYTES = 65536
const ENODATA = 61

/**
 * mknod, lsetxattr, lgetxattr, llistxattr, lremovexattr and syncfs.
 *
 * Errors are those of `node:fs`: `code` is the errno's name, with `errno`, `syscall` and `path`.
 */
export const nativeFs: NativeFs = {
  mknod(path, mode, dev) {
    call('mknod', path, (binding, bytes) => binding.mknod(bytes, mode, dev))
  },
  setxattr(path, name, value) {
    call('lsetxattr', path, (binding, bytes) => binding.setxattr(bytes, terminated(name), value))
  },
  getxattr(path, name) {
    const value = Buffer.alloc(XATTR_MAX_BYTES)
    const size = loadBinding().getxattr(terminated(path), terminated(name), value)
    if (size === -ENODATA) return undefined
    if (size < 0) throw systemError('lgetxattr', path, size)
    return Buffer.from(value.subarray(0, size))
  },
  listxattr(path) {
    const names = Buffer.alloc(XATTR_MAX_BYTES)
    const size = loadBinding().listxattr(terminated(path), names)
    if (size < 0) throw systemError('llistxattr', path, size)
    return names.toString('latin1', 0, size).split('\0').slice(0, -1)
  },
  removexattr(path, name) {
    call('lremovexattr', path, (binding, bytes) => binding.removexattr(bytes, terminated(name)))
  },
  syncfs(path) {
    call('syncfs', path, (binding, bytes) => binding.syncfs(bytes))
  },
}

function call(
  syscall: string,
  path: string | Buffer,
  run: (binding: Binding, path: Uint8Array) => number,
): void {
  const result = run(loadBinding(), terminated(path))
  if (result < 0) throw systemError(syscall, path, result)
}

function terminated(text: string | Buffer): Buffer {
  const bytes = Buffer.from(text)
  if (bytes.includes(0)) throw new TypeError('expected a path or name without NUL bytes')
  return Buffer.concat([bytes, Buffer.alloc(1)])
}

// Not a NamespaceError: callers treat these like the errors of node:fs, whose `code` is the errno.
function systemError(syscall: string, path: string | Buffer, result: number): Error {
  const { name, text } = describeErrno(-result)
  const error = new Error(`${name}: ${text}, ${syscall} '${path}'`)
  return Object.assign(error, { errno: result, code: name, syscall, path: path.toString() })
}
