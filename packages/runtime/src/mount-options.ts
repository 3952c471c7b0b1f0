import { parseSize } from './size.ts'
import { unsupported } from './unsupported.ts'

/** What the `options` of one mount in config.json come to. */
export interface MountOptions {
  readonly: boolean
  nosuid: boolean
  nodev: boolean
  noexec: boolean
  bind: boolean
  /** tmpfs `size=`. */
  sizeBytes?: number
  /** tmpfs `mode=`. */
  mode?: number
}

/** Words that change nothing here, or that describe what is always so: every mount is private, binds are recursive. */
const ALWAYS_SO = new Set([
  'defaults',
  'rw',
  'suid',
  'dev',
  'exec',
  'private',
  'rprivate',
  'slave',
  'rslave',
  'relatime',
  'strictatime',
  'noatime',
  'nodiratime',
  'newinstance',
  'ptmxmode=0666',
  'gid=5',
])

/**
 * Read a mount's option words. Unknown ones are refused: a word such as `nosymfollow` that is
 * ignored would be a protection that is not there.
 */
export function parseMountOptions(options: readonly string[], pointer: string): MountOptions {
  const parsed: MountOptions = {
    readonly: false,
    nosuid: false,
    nodev: false,
    noexec: false,
    bind: false,
  }
  options.forEach((word, index) => {
    if (word === 'ro' || word === 'rro') parsed.readonly = true
    else if (word === 'nosuid' || word === 'nodev' || word === 'noexec') parsed[word] = true
    else if (word === 'rbind') parsed.bind = true
    else if (word === 'bind') {
      throw unsupported(
        `${pointer}/${index}`,
        'asks for a bind mount without what is mounted below it; use rbind',
      )
    } else if (word.startsWith('size=')) parsed.sizeBytes = parseSize(word.slice(5), pointer)
    else if (/^mode=[0-7]{1,4}$/.test(word)) parsed.mode = Number.parseInt(word.slice(5), 8)
    else if (!ALWAYS_SO.has(word)) {
      throw unsupported(`${pointer}/${index}`, `has the mount option ${JSON.stringify(word)}`)
    }
  })
  return parsed
}
