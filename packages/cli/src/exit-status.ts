import { constants } from 'node:os'

/** The exit status for what went wrong on our side of the container, as in docker. */
export const STATUS_FAILED = 125
/** The exit status for a command that exists but cannot be started. */
export const STATUS_CANNOT_INVOKE = 126
/** The exit status for a command that does not exist. */
export const STATUS_NOT_FOUND = 127

/** What becomes of a container or process in the end: an exit code, or the signal that killed it. */
export interface Ending {
  exitCode: number | null
  signal: NodeJS.Signals | null
}

/** The container's own exit code, or 128 + n when signal n killed it; 125 when neither is known. */
export function statusOfEnding({ exitCode, signal }: Ending): number {
  if (exitCode !== null) return exitCode
  return signal === null ? STATUS_FAILED : statusOfSignal(signal)
}

/** 128 + the signal's number. */
export function statusOfSignal(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal]
}

/**
 * The status for an error: 127 where the program does not exist in the container, 126 where it (or
 * the working directory, or the user it is to run as) cannot be used, else 125. Decided by error code
 * and errno, never by text.
 */
export function statusOfError(error: unknown): number {
  for (const link of causes(error)) {
    if (!hasCode(link)) continue
    if (link.code === 'ERR_NS_EXEC') return statusOfExecErrno(link.errno)
    if (link.code === 'ERR_NS_SETUP' && link.step === 'cwd') return STATUS_CANNOT_INVOKE
    if (CANNOT_INVOKE.has(link.code)) return STATUS_CANNOT_INVOKE
  }
  return STATUS_FAILED
}

/** The error and what caused it, outermost first. */
export function* causes(error: unknown): Generator<Error> {
  const seen = new Set<unknown>()
  for (let link = error; link instanceof Error && !seen.has(link); link = link.cause) {
    seen.add(link)
    yield link
  }
}

/** Codes that mean: the image is there, but this user or directory in it is not. */
const CANNOT_INVOKE: ReadonlySet<string> = new Set(['ERR_ENGINE_USER'])

function statusOfExecErrno(errno: number | undefined): number {
  const { ENOENT, ENOTDIR } = constants.errno
  const positive = Math.abs(errno ?? 0)
  return positive === ENOENT || positive === ENOTDIR ? STATUS_NOT_FOUND : STATUS_CANNOT_INVOKE
}

interface CodedError extends Error {
  code: string
  errno?: number
  step?: string
}

function hasCode(error: Error): error is CodedError {
  return 'code' in error && typeof error.code === 'string'
}
