import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { findHelper, loadBinding } from './binding.ts'
import { describeErrno } from './errno.ts'
import { NamespaceError } from './errors.ts'

/** A descriptor to hand over, a pipe to this process, or /dev/null. */
export type StdioTarget = number | 'pipe' | 'ignore'

/** A monitor process that has just been started, and our descriptors of it. */
export interface Helper {
  pid: number
  control: number
  /** Our ends of its stdin, stdout, stderr where `pipe` was asked for. */
  pipes: [number | undefined, number | undefined, number | undefined]
  /** Our end of its channel of descriptors, where one was asked for. */
  channel: number | undefined
  /** How many bytes of the message it has been given; the rest is still to be sent. */
  sent: number
}

/** How the helper is started. */
export interface HelperOptions {
  /** Another build of it, executed by this path. */
  path?: string | undefined
  /** Give it a channel by which it can hand descriptors over; the configuration must say so too. */
  channel?: boolean
}

const PIPE = -1
const IGNORE = -2

/**
 * Start the helper, with a message to begin with. Never copies this process's memory, whatever its
 * size, and hands it nothing but the three descriptors, a control socket and the channel. Throws ERR_NS_HELPER.
 */
export function startHelper(
  stdio: readonly StdioTarget[],
  message: Uint8Array,
  { path, channel = false }: HelperOptions = {},
): Helper {
  const targets = Int32Array.from(stdio, (target) =>
    target === 'pipe' ? PIPE : target === 'ignore' ? IGNORE : target,
  )
  const chosen = path ?? findHelper()
  const sealed = path === undefined ? sealedCopy(chosen) : undefined
  const spawned = new Int32Array(7)
  const spawn = (file: string) =>
    loadBinding().spawn(Buffer.from(`${file}\0`), targets, message, channel ? 1 : 0, spawned)
  let result = sealed === undefined ? -1 : spawn(`/proc/self/fd/${sealed}`)
  // The sealed copy may not be executed (vm.memfd_noexec), or seen (no /proc): then the file itself.
  if (result < 0) result = spawn(chosen)
  if (result < 0) throw notStarted(chosen, -result)
  const [pid = 0, control = -1, ...others] = spawned
  const sent = others.pop() ?? 0
  const [input, output, errors, ours] = others.map((fd) => (fd < 0 ? undefined : fd))
  return { pid, control, pipes: [input, output, errors], channel: ours, sent }
}

let copy: number | undefined

/**
 * A copy of the helper that nobody can change, made once per process: a contained process could
 * not overwrite it even if it got hold of it (CVE-2019-5736), and noexec or lost mode bits where
 * the package lies do not matter. Undefined where AppArmor would not recognise it: it goes by path.
 */
function sealedCopy(path: string): number | undefined {
  if (copy !== undefined) return copy
  if (appArmorGoesByPath()) return undefined
  const fd = loadBinding().seal(Buffer.from(`${path}\0`))
  if (fd >= 0) copy = fd
  return copy
}

function appArmorGoesByPath(): boolean {
  try {
    const sysctl = '/proc/sys/kernel/apparmor_restrict_unprivileged_userns'
    return readFileSync(sysctl, 'latin1').trim() === '1'
  } catch {
    return false // no AppArmor
  }
}

function notStarted(path: string, errno: number): NamespaceError {
  const { text } = describeErrno(errno)
  const { EACCES, EBADF } = constants.errno
  const hints: Record<number, string> = {
    [EACCES]: `make it executable, on a file system without noexec: chmod +x ${path}`,
    [EBADF]: 'a descriptor in stdio is not open',
  }
  const hint = hints[errno]
  return new NamespaceError('ERR_NS_HELPER', `cannot start ${path}: ${text}`, {
    errno,
    syscall: 'posix_spawn',
    path,
    ...(hint === undefined ? {} : { hint }),
  })
}
