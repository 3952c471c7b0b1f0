import type { LaunchOptions } from '@cromwell/ns-native'
import { EngineError } from './errors.ts'
import type { Network } from './etc-files.ts'
import type { PullPolicy } from './image.ts'

/** What to run and how; the counterpart of `docker run`'s options. Absent means: as the image says, or off. */
export interface RunOptions {
  /** Reference of the image; exactly one of `image` and `rootfs` is given. */
  image?: string | undefined
  /** A directory of this machine to run on, under an overlay: it is never changed. `/` is allowed. */
  rootfs?: string | undefined
  /** Replaces the image's Cmd. */
  command?: readonly string[] | undefined
  /** Replaces the image's Entrypoint and drops its Cmd; `['']` or `[]` for none. */
  entrypoint?: readonly string[] | undefined
  /** `NAME=value`, or `NAME` to copy it from the host facts' environment. */
  env?: readonly string[] | undefined
  /** Files of such entries; `env` wins over them. */
  envFiles?: readonly string[] | undefined
  /** Absolute, inside; created when missing. */
  workdir?: string | undefined
  /** `name|uid[:group|gid]`, inside. */
  user?: string | undefined
  /** `source:destination[:ro]`; a source that begins with `.` is relative to the host facts' `cwd`. */
  volumes?: readonly string[] | undefined
  /** Default `host`. */
  network?: Network | undefined
  /** Default: two random words. */
  name?: string | undefined
  /** Default: random. */
  id?: string | undefined
  /** Default: the short id. */
  hostname?: string | undefined
  /** Make the root read-only, with tmpfs on /run, /tmp and /var/tmp. */
  readOnly?: boolean | undefined
  /** Bytes of memory, swap not included: there is none beside. */
  memoryBytes?: number | undefined
  /** Processors' worth of time, such as 1.5. */
  cpus?: number | undefined
  /** Processes and threads at once. */
  pidsLimit?: number | undefined
  /** Remove the container when it ends. */
  removeOnExit?: boolean | undefined
  /** Let it outlive this process. */
  detached?: boolean | undefined
  /** Give it a terminal of its own, of this size. */
  terminal?: { columns: number; rows: number } | undefined
  /** stdin, stdout and stderr. Default: nothing, pipe, pipe; nothing at all when detached. */
  stdio?: LaunchOptions['stdio'] | undefined
  /** Default `missing`. */
  pull?: PullPolicy | undefined
  /** `os/arch[/variant]`; default this machine's. */
  platform?: string | undefined
  /** Ends the pull, the unpacking or the container. */
  signal?: AbortSignal | undefined
}

/** Throws EngineError ERR_ENGINE_OPTION or ERR_ENGINE_HOSTNAME for options that cannot be meant. */
export function checkRunOptions(options: RunOptions): void {
  if ((options.image === undefined) === (options.rootfs === undefined)) {
    throw new EngineError('ERR_ENGINE_OPTION', 'give either an image or a rootfs directory')
  }
  if (options.rootfs !== undefined && !options.rootfs.startsWith('/')) {
    throw new EngineError(
      'ERR_ENGINE_OPTION',
      `the rootfs ${options.rootfs} is not an absolute path`,
    )
  }
  if (options.workdir !== undefined && !options.workdir.startsWith('/')) {
    throw new EngineError(
      'ERR_ENGINE_OPTION',
      `the working directory ${JSON.stringify(options.workdir)} is not an absolute path`,
    )
  }
  if (options.hostname !== undefined) checkHostname(options.hostname)
}

/** sethostname(2) takes 64 bytes; what resolvers and shells make of other characters is anybody's guess. */
function checkHostname(hostname: string): void {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}$/.test(hostname)) return
  throw new EngineError(
    'ERR_ENGINE_HOSTNAME',
    `cannot use ${JSON.stringify(hostname).slice(0, 80)} as a host name`,
    { hint: 'use letters, digits and _ . -, at most 64, beginning with a letter or digit' },
  )
}
