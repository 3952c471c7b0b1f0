import { errnoOf } from './errors.ts'
import { deviceNumber, type NativeFs, S_IFBLK, S_IFCHR, S_IFIFO } from './native-fs.ts'

/** A device or a FIFO, as an archive describes it. */
export interface SpecialFile {
  type: 'character-device' | 'block-device' | 'fifo'
  deviceMajor: number
  deviceMinor: number
}

/** Such a file in words: `char 1:3`, `block 8:0`, `fifo`. */
export function describeSpecialFile(file: SpecialFile): string {
  if (file.type === 'fifo') return 'fifo'
  const kind = file.type === 'block-device' ? 'block' : 'char'
  return `${kind} ${file.deviceMajor}:${file.deviceMinor}`
}

/** Make a device or a FIFO. Returns why it cannot exist here; throws the system's error for anything else. */
export function makeSpecialFile(
  native: NativeFs | undefined,
  path: string | Buffer,
  file: SpecialFile,
): string | undefined {
  if (native === undefined) return 'needs native.mknod'
  const device = file.type === 'fifo' ? 0 : deviceNumber(file.deviceMajor, file.deviceMinor)
  if (device === undefined) return 'no such device number on Linux'
  if (file.type === 'character-device' && device === 0) return 'overlayfs takes it for a whiteout'
  try {
    native.mknod(path, modeBits(file.type) | 0o600, device)
    return undefined
  } catch (error) {
    const code = errnoOf(error)
    if (code === 'EPERM' || code === 'EACCES') return code
    throw error
  }
}

function modeBits(type: SpecialFile['type']): number {
  if (type === 'fifo') return S_IFIFO
  return type === 'block-device' ? S_IFBLK : S_IFCHR
}
