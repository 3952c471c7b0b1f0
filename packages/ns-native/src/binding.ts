import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { NamespaceError, UnsupportedError } from './errors.ts'

/** A descriptor that is waited for; opaque. */
export interface PollHandle {
  readonly kind: unique symbol
}

/**
 * What the addon exports (native/addon/native.h). Paths are NUL-terminated bytes; every result is
 * >= 0 or a negative errno. Nothing is checked there, so everything is checked before.
 */
export interface Binding {
  /**
   * file: a descriptor of the helper, or -1; helper: its path, where there is none, or where the kernel may not
   * execute by descriptor; stdio: descriptors, or -1 for a pipe and -2 for /dev/null, and further descriptors; message: what the helper finds in its
   * control socket; channel: 1 for a channel of descriptors; spawned: pid, control, three pipes,
   * channel, and how many bytes of the message there was room for.
   */
  spawn(
    file: number,
    helper: Uint8Array,
    stdio: Int32Array,
    message: Uint8Array,
    channel: number,
    spawned: Int32Array,
  ): number
  /** Some of the bytes, without waiting: their number or -EAGAIN; 0 from receive is the end. */
  send(socket: number, bytes: Uint8Array): number
  receive(socket: number, bytes: Uint8Array): number
  /**
   * Calls back when the descriptor can be read (1) or written (2), from the event loop. The
   * descriptor belongs to the handle, and is closed by pollClose or when the thread ends.
   */
  pollOpen(fd: number, callback: (events: number) => void): PollHandle | number
  pollEvents(handle: PollHandle, events: number): void
  pollRef(handle: PollHandle, referenced: boolean): void
  pollClose(handle: PollHandle): void
  /** The next descriptor that waits on a channel; -EAGAIN when none does. */
  receiveFd(channel: number): number
  /** The control socket and the pipes of this helper are in good hands. */
  claim(pid: number): void
  /** 0 while the process has not ended. */
  reap(pid: number): number
  pidfdOpen(pid: number): number
  pidfdSendSignal(pidfd: number, signal: number): number
  /** Another descriptor for the same process; -EBADF for what is no pidfd. */
  pidfdCopy(pidfd: number): number
  /** A sealed copy in memory: one for the process, whatever the path. */
  seal(path: Uint8Array): number
  mknod(path: Uint8Array, mode: number, device: number): number
  setxattr(path: Uint8Array, name: Uint8Array, value: Uint8Array): number
  getxattr(path: Uint8Array, name: Uint8Array, value: Uint8Array): number
  listxattr(path: Uint8Array, names: Uint8Array): number
  removexattr(path: Uint8Array, name: Uint8Array): number
  syncfs(path: Uint8Array): number
  landlockAbi(): number
  terminalSave(fd: number, state: Uint8Array): number
  terminalLoad(fd: number, state: Uint8Array): number
}

const ADDON = '@cromwell+ns-native.node'
const HELPER = 'cromwell-init'
let loaded: Binding | undefined
let unloadable = false
let directory: string | undefined
let helper: string | undefined

/** The addon, loaded on first use. Throws ERR_NS_UNSUPPORTED or ERR_NS_HELPER. */
export function loadBinding(): Binding {
  loaded ??= load()
  return loaded
}

/** The addon, or undefined where it cannot be loaded. Throws ERR_NS_UNSUPPORTED. */
export function tryBinding(): Binding | undefined {
  if (unloadable) return undefined
  try {
    return loadBinding()
  } catch (error) {
    if (!(error instanceof NamespaceError) || error.code !== 'ERR_NS_HELPER') throw error
    unloadable = true
    return undefined
  }
}

/** Where the helper for this processor is. Throws like {@link loadBinding}. */
export function findHelper(): string {
  if (helper !== undefined) return helper
  const path = join(prebuildsDirectory(), HELPER)
  if (!existsSync(path)) throw missing(path)
  helper = path
  return path
}

function load(): Binding {
  const path = join(prebuildsDirectory(), ADDON)
  const require = createRequire(import.meta.url)
  try {
    // Going through node-gyp-build costs 3 ms more: only when the file is not where we ship it.
    return existsSync(path) ? require(path) : require('node-gyp-build')(packageDirectory())
  } catch (cause) {
    throw missing(path, cause)
  }
}

function prebuildsDirectory(): string {
  if (process.platform !== 'linux') {
    throw new UnsupportedError(
      `cannot contain processes on ${process.platform}: namespaces are a facility of Linux`,
      { missing: ['linux'], hint: 'run this in a Linux virtual machine' },
    )
  }
  return join(packageDirectory(), 'prebuilds', `linux-${process.arch}`)
}

/**
 * Where this package is. By name, not by relative path: also right from src/ and from a bundle
 * elsewhere. Looked up once, for that takes longer than starting the helper.
 */
export function packageDirectory(): string {
  directory ??= dirname(createRequire(import.meta.url).resolve('@cromwell/ns-native/package.json'))
  return directory
}

function missing(path: string, cause?: unknown): NamespaceError {
  const hint = ['x64', 'arm64'].includes(process.arch)
    ? 'install @cromwell/ns-native anew, or in a checkout run: node scripts/build-native.mjs'
    : `there is no build for ${process.arch}: only x64 and arm64`
  return new NamespaceError('ERR_NS_HELPER', `cannot load the native part: ${path} is not usable`, {
    path,
    hint,
    ...(cause === undefined ? {} : { cause }),
  })
}
