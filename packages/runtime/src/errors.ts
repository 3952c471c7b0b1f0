/** Every code a {@link RuntimeError} can carry. */
export const RUNTIME_ERROR_CODES = [
  /** The bundle's directory or its config.json cannot be read. */
  'ERR_RUNTIME_BUNDLE',
  /** config.json is not what the OCI runtime specification describes; `pointer` says where. */
  'ERR_RUNTIME_CONFIG',
  /** config.json asks for something that is not enforced here, and ignoring it would weaken or change the container. */
  'ERR_RUNTIME_UNSUPPORTED',
  /** A container id that could be mistaken for a path or an option. */
  'ERR_RUNTIME_ID',
  /** The id is taken by another container. */
  'ERR_RUNTIME_EXISTS',
  /** No container has this id. */
  'ERR_RUNTIME_NOT_FOUND',
  /** The operation needs a container that has ended. */
  'ERR_RUNTIME_RUNNING',
  /** The operation needs a container that runs. */
  'ERR_RUNTIME_NOT_RUNNING',
  /** The container's state could not be written or removed. */
  'ERR_RUNTIME_STATE',
  /** The container did not end in time after SIGKILL. */
  'ERR_RUNTIME_TIMEOUT',
] as const

/** A code of {@link RUNTIME_ERROR_CODES}. */
export type RuntimeErrorCode = (typeof RUNTIME_ERROR_CODES)[number]

/** What is known about a failure besides its message. */
export interface RuntimeErrorFacts {
  /** Id of the container concerned. */
  id?: string
  /** File or directory concerned. */
  path?: string
  /** JSON pointer into config.json. */
  pointer?: string
  /** What to do next. */
  hint?: string
  cause?: unknown
}

/** The one error class of this package; `code` never changes meaning. */
export class RuntimeError extends Error {
  override readonly name = 'RuntimeError'
  readonly code: RuntimeErrorCode
  readonly id: string | undefined
  readonly path: string | undefined
  readonly pointer: string | undefined
  readonly hint: string | undefined

  constructor(code: RuntimeErrorCode, message: string, facts: RuntimeErrorFacts = {}) {
    super(message, facts.cause === undefined ? {} : { cause: facts.cause })
    this.code = code
    this.id = facts.id
    this.path = facts.path
    this.pointer = facts.pointer
    this.hint = facts.hint
  }
}
