/** Every code a {@link NamespaceError} can have. A code never changes its meaning. */
export const NAMESPACE_ERROR_CODES = [
  /** The launch spec is not valid; `pointer` says where. */
  'ERR_NS_SPEC',
  /** This system cannot run it at all: not Linux, or a kernel or processor without support. */
  'ERR_NS_UNSUPPORTED',
  /** The native parts are missing or cannot be executed. */
  'ERR_NS_HELPER',
  /** A step of the set-up failed; `step`, `errno`, `syscall`, `path` and `hint` say which and why. */
  'ERR_NS_SETUP',
  /** Everything was set up, but the program could not be executed; `errno` and `path` say why. */
  'ERR_NS_EXEC',
  /** The launch was given up because its `AbortSignal` said so. */
  'ERR_NS_ABORTED',
  /** The monitor process was killed; the container dies with it and its exit status is unknown. */
  'ERR_NS_MONITOR_LOST',
  /** The mode of a terminal could not be read or set. */
  'ERR_NS_TERMINAL',
] as const

/** One of {@link NAMESPACE_ERROR_CODES}. */
export type NamespaceErrorCode = (typeof NAMESPACE_ERROR_CODES)[number]

/** What is known about a failure besides its code and message. */
export interface NamespaceErrorFacts {
  /** The step that failed, as listed in `STEPS`. */
  step?: string
  /** Which one, when the step is done for each element of a list of the spec. */
  index?: number
  /** Positive, as in `os.constants.errno`. */
  errno?: number
  /** The system call (or program, such as `newuidmap`) that failed. */
  syscall?: string
  /** What it was done to. */
  path?: string
  /** JSON pointer (RFC 6901) into the launch spec. */
  pointer?: string
  /** What to do next. */
  hint?: string
  cause?: unknown
}

/** The one error of this package. Compare `code`, not the message. */
export class NamespaceError extends Error {
  readonly code: NamespaceErrorCode
  declare readonly step?: string
  declare readonly index?: number
  declare readonly errno?: number
  declare readonly syscall?: string
  declare readonly path?: string
  declare readonly pointer?: string
  declare readonly hint?: string

  constructor(code: NamespaceErrorCode, message: string, facts: NamespaceErrorFacts = {}) {
    const { cause, ...others } = facts
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'NamespaceError'
    this.code = code
    Object.assign(this, others)
  }
}
