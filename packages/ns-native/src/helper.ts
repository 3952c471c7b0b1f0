import type { ChildProcess } from 'node:child_process'
import { Socket } from 'node:net'
import { constants } from 'node:os'
import { type Binding, loadBinding, tryBinding } from './binding.ts'
import { describeErrno } from './errno.ts'
import { NamespaceError, UnsupportedError } from './errors.ts'
import { type HelperProgram, helperProgram } from './helper-file.ts'
import { spawnWithoutAddon } from './without-addon.ts'

/** A descriptor to hand over, a pipe to this process, or /dev/null. */
export type StdioTarget = number | 'pipe' | 'ignore'

/** A monitor process that has just been started, and our descriptors of it. */
export interface Helper {
  pid: number
  /** A descriptor, or without the addon the child that has it. */
  control: number | ChildProcess
  /** Our ends of its stdin, stdout, stderr where `pipe` was asked for. */
  pipes: [Pipe, Pipe, Pipe]
  /** Our end of its channel of descriptors, where one was asked for. */
  channel: number | undefined
  /** How many bytes of the message it has been given; the rest is still to be sent. */
  sent: number
}

/** A descriptor, or what Node has made of it already. */
export type Pipe = number | Socket | undefined

/** How the helper is started. */
export interface HelperOptions {
  /** Another build of it, executed by this path. */
  path?: string | undefined
  /** Give it a channel by which it can hand descriptors over; the configuration must say so too. */
  channel?: boolean
  /** Descriptors that become its 5, 6, …; the configuration says what for. */
  extras?: readonly number[]
  /** False: without the addon, whether there is one or not. */
  addon?: boolean
}

const PIPE = -1
const IGNORE = -2

/**
 * Start the helper, with a message to begin with. Hands it nothing but the descriptors named, a control socket and
 * the channel. With the addon this never copies this process's memory, whatever its size. Throws ERR_NS_HELPER.
 */
export function startHelper(
  stdio: readonly StdioTarget[],
  message: Uint8Array,
  options: HelperOptions = {},
): Helper {
  const { path, addon = true } = options
  const binding = addon ? tryBinding() : undefined
  const program: HelperProgram = path === undefined ? helperProgram(binding) : { path }
  const { otherwise } = program
  const start = (one: HelperProgram) =>
    binding === undefined
      ? startChild(one.path, stdio, options)
      : startByAddon(binding, one, stdio, message, options)
  let helper = start(program)
  // The sealed copy may not be executed where a policy says so, nor be seen where there is no /proc.
  if (typeof helper === 'number' && otherwise !== undefined) helper = start({ path: otherwise })
  if (typeof helper === 'number') throw notStarted(path ?? otherwise ?? program.path, -helper)
  return helper
}

function startByAddon(
  binding: Binding,
  { descriptor = -1, path }: HelperProgram,
  stdio: readonly StdioTarget[],
  message: Uint8Array,
  { channel = false, extras = [] }: HelperOptions,
): Helper | number {
  const targets = new Int32Array(stdio.length + extras.length)
  stdio.forEach((target, index) => {
    targets[index] = target === 'pipe' ? PIPE : target === 'ignore' ? IGNORE : target
  })
  targets.set(extras, stdio.length)
  const spawned = new Int32Array(7)
  const file = Buffer.from(`${path}\0`)
  const result = binding.spawn(descriptor, file, targets, message, channel ? 1 : 0, spawned)
  if (result < 0) return result
  const [pid = 0, control = -1, input, output, errors, ours, sent = 0] = spawned
  return {
    pid,
    control,
    pipes: [opened(input), opened(output), opened(errors)],
    channel: opened(ours),
    sent,
  }
}

function opened(fd: number | undefined): number | undefined {
  return fd === undefined || fd < 0 ? undefined : fd
}

function startChild(
  file: string,
  stdio: readonly StdioTarget[],
  { channel = false, extras = [] }: HelperOptions,
): Helper | number {
  if (channel) throw needsAddon()
  const child = spawnWithoutAddon(file, [...stdio, ...extras])
  if (typeof child === 'number') return child
  const { pid = 0, stdin, stdout, stderr } = child
  return {
    pid,
    control: child,
    pipes: [own(stdin), own(stdout), own(stderr)],
    channel: undefined,
    sent: 0,
  }
}

// What child_process makes of a pipe is a socket, which its types do not say.
function own(stream: unknown): Socket | undefined {
  return stream instanceof Socket ? stream : undefined
}

function needsAddon(): NamespaceError {
  const facts = { missing: ['addon'], hint: whyNoAddon() }
  return new UnsupportedError('sockets inside cannot be handed over without the addon', facts)
}

function whyNoAddon(): string {
  try {
    loadBinding()
    return 'launch with the addon, which this process can load'
  } catch (error) {
    const { hint, message } = error instanceof NamespaceError ? error : { hint: '', message: '' }
    return `${message}; ${hint}`
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
    syscall: 'execve',
    path,
    ...(hint === undefined ? {} : { hint }),
  })
}
