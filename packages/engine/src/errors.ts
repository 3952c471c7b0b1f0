/** Every code an {@link EngineError} can carry. */
export const ENGINE_ERROR_CODES = [
  /** `$CROMWELL_HOME` cannot be used: not a directory, not writable, or somebody else's. */
  'ERR_ENGINE_HOME',
  /** Options of `run` that do not go together, or have the wrong form. */
  'ERR_ENGINE_OPTION',
  /** The image is not there and may not be pulled. */
  'ERR_ENGINE_IMAGE_NOT_FOUND',
  /** The directory given as root file system cannot be used. */
  'ERR_ENGINE_ROOTFS',
  /** Neither the options nor the image name a program to run. */
  'ERR_ENGINE_NO_COMMAND',
  /** The user or group is not in the image, or cannot be mapped on this host. */
  'ERR_ENGINE_USER',
  /** A volume that cannot be mounted: wrong form, missing source, forbidden destination. */
  'ERR_ENGINE_VOLUME',
  /** An environment file that cannot be read, or has a line that sets nothing. */
  'ERR_ENGINE_ENV_FILE',
  /** A container name that is not well-formed. */
  'ERR_ENGINE_NAME',
  /** The container name belongs to another container; `holder` is its id. */
  'ERR_ENGINE_NAME_TAKEN',
  /** A host name that is not well-formed or is longer than 64 bytes. */
  'ERR_ENGINE_HOSTNAME',
  /** No container has this id, id prefix or name. */
  'ERR_ENGINE_CONTAINER_NOT_FOUND',
  /** More than one container has an id that begins like this. */
  'ERR_ENGINE_AMBIGUOUS',
  /** The container keeps no log: it was run with output to the caller only. */
  'ERR_ENGINE_NO_LOG',
  /** The program that unpacks layers failed without saying why. */
  'ERR_ENGINE_WORKER',
] as const

/** A code of {@link ENGINE_ERROR_CODES}. */
export type EngineErrorCode = (typeof ENGINE_ERROR_CODES)[number]

/** What is known about a failure besides its message. */
export interface EngineErrorFacts {
  /** File or directory concerned. */
  path?: string
  /** Id of the container that has what was asked for. */
  holder?: string
  /** What to do next. */
  hint?: string
  cause?: unknown
}

/** The one error class of this package; `code` never changes meaning. */
export class EngineError extends Error {
  override readonly name = 'EngineError'
  readonly code: EngineErrorCode
  readonly path: string | undefined
  readonly holder: string | undefined
  readonly hint: string | undefined

  constructor(code: EngineErrorCode, message: string, facts: EngineErrorFacts = {}) {
    super(message, facts.cause === undefined ? {} : { cause: facts.cause })
    this.code = code
    this.path = facts.path
    this.holder = facts.holder
    this.hint = facts.hint
  }
}
