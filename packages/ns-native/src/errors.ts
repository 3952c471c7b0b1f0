/** Every code a {@link NamespaceError} can have. A code never changes its meaning. */
export const NAMESPACE_ERROR_CODES = [
  /** The launch spec is not valid; `pointer` says where. */
  'ERR_NS_SPEC',
  /** A policy or an option of `sandbox` or `spawn` is not valid; `pointer` says where. */
  'ERR_NS_POLICY',
  /** What was asked for does not exist here; `missing` names it: not Linux, a kernel without support, a program not installed. */
  'ERR_NS_UNSUPPORTED',
  /** The native parts are missing or cannot be executed. */
  'ERR_NS_HELPER',
  /** A step of the set-up failed; `step`, `errno`, `syscall`, `path` and `hint` say which and why. */
  'ERR_NS_SETUP',
  /** Everything was set up, but the program could not be executed; `errno` and `path` say why. */
  'ERR_NS_EXEC',
  /** The container to be joined, attached to or told something has ended, or never was. */
  'ERR_NS_ENDED',
  /** A descriptor of a process could not be opened, signalled or waited for. */
  'ERR_NS_PIDFD',
  /** The launch was given up because its `AbortSignal` said so. */
  'ERR_NS_ABORTED',
  /** The monitor process was killed; the container dies with it and its exit status is unknown. */
  'ERR_NS_MONITOR_LOST',
  /** The mode of a terminal could not be read or set. */
  'ERR_NS_TERMINAL',
  /** The changes of an overlay could not be read, applied or discarded; `path` and `errno` say why. */
  'ERR_NS_OVERLAY',
  /** The container has ended, and with it what was wanted of its network. */
  'ERR_NS_ENDED',
] as const

/** One of {@link NAMESPACE_ERROR_CODES}. */
export type NamespaceErrorCode = (typeof NAMESPACE_ERROR_CODES)[number]

/** What is known about a failure besides its code and message. */
export interface NamespaceErrorFacts {
  /** The step that failed, as listed in `STEPS`. */
  step?: string | undefined
  /** Which one, when the step is done for each element of a list of the spec. */
  index?: number | undefined
  /** Positive, as in `os.constants.errno`. */
  errno?: number | undefined
  /** The system call (or program, such as `newuidmap`) that failed. */
  syscall?: string | undefined
  /** What it was done to. */
  path?: string | undefined
  /** JSON pointer (RFC 6901) into the launch spec, the policy or the options. */
  pointer?: string | undefined
  /** What this host lacks, by the names of facilities and controls. */
  missing?: readonly string[] | undefined
  /** What to do next. */
  hint?: string | undefined
  cause?: unknown
}

/** What this package throws; its kinds are subclasses. Compare `code`, or the class, not the message. */
export class NamespaceError extends Error {
  // on the prototype: there when the stack is captured, and no property of each error
  static {
    NamespaceError.prototype.name = 'NamespaceError'
  }

  readonly code: NamespaceErrorCode
  declare readonly step?: string
  declare readonly index?: number
  declare readonly errno?: number
  declare readonly syscall?: string
  declare readonly path?: string
  declare readonly pointer?: string
  declare readonly missing?: readonly string[]
  declare readonly hint?: string

  constructor(code: NamespaceErrorCode, message: string, facts: NamespaceErrorFacts = {}) {
    const { cause, ...others } = facts
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    const known = Object.entries(others).filter(([, value]) => value !== undefined)
    Object.assign(this, Object.fromEntries(known))
  }

  /** What to do next; the same as `hint`. */
  get remedy(): string | undefined {
    return this.hint
  }

  /** All that is known, for logs: `JSON.stringify` of an ordinary error gives `{}`. */
  toJSON(): Record<string, unknown> {
    const { name, message, cause } = this
    const why = cause instanceof Error ? String(cause) : cause
    const known = [...Object.entries(this), ...(why === undefined ? [] : [['cause', why]])]
    return { name, message, ...Object.fromEntries(known) }
  }
}

/** ERR_NS_SETUP: the sandbox could not be made; the program never ran. */
export class SetupError extends NamespaceError {
  static {
    SetupError.prototype.name = 'SetupError'
  }

  constructor(message: string, facts: NamespaceErrorFacts = {}) {
    super('ERR_NS_SETUP', message, facts)
  }
}

/** ERR_NS_EXEC: the sandbox stands, but the program could not be executed in it. */
export class ExecError extends NamespaceError {
  static {
    ExecError.prototype.name = 'ExecError'
  }

  constructor(message: string, facts: NamespaceErrorFacts = {}) {
    super('ERR_NS_EXEC', message, facts)
  }
}

/** ERR_NS_POLICY or ERR_NS_SPEC: what was asked for makes no sense; `pointer` says which part. */
export class PolicyError extends NamespaceError {
  static {
    PolicyError.prototype.name = 'PolicyError'
  }

  declare readonly pointer: string

  constructor(
    message: string,
    facts: NamespaceErrorFacts & { pointer: string },
    code: 'ERR_NS_POLICY' | 'ERR_NS_SPEC' = 'ERR_NS_POLICY',
  ) {
    super(code, message, facts)
  }
}

/** ERR_NS_UNSUPPORTED: this host lacks what was asked for; `missing` names it. */
export class UnsupportedError extends NamespaceError {
  static {
    UnsupportedError.prototype.name = 'UnsupportedError'
  }

  declare readonly missing: readonly string[]

  constructor(message: string, facts: NamespaceErrorFacts & { missing: readonly string[] }) {
    super('ERR_NS_UNSUPPORTED', message, facts)
  }
}
