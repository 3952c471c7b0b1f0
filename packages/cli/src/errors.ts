/** Every code a {@link CliError} can carry; a code never changes its meaning. */
export const CLI_ERROR_CODES = [
  /** The command line is not one: unknown command or flag, missing or surplus operand, bad value. */
  'ERR_CLI_USAGE',
  /** `-i -t` was asked for, or a password has to be, but stdin is not a terminal. */
  'ERR_CLI_NOT_A_TERMINAL',
  /** Containers cannot be made on this machine as it is, or setting it up failed; the hint says what to do. */
  'ERR_CLI_SETUP',
] as const

/** One of {@link CLI_ERROR_CODES}. */
export type CliErrorCode = (typeof CLI_ERROR_CODES)[number]

/** What goes wrong before any other package is asked: the command line itself. */
export class CliError extends Error {
  readonly code: CliErrorCode
  /** What to do next. */
  readonly hint?: string

  constructor(
    code: CliErrorCode,
    message: string,
    options: { hint?: string; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'CliError'
    this.code = code
    if (options.hint !== undefined) this.hint = options.hint
  }
}

/** A {@link CliError} about the command line, with `ERR_CLI_USAGE`. */
export function usageError(message: string, hint?: string): CliError {
  return new CliError('ERR_CLI_USAGE', message, hint === undefined ? {} : { hint })
}
