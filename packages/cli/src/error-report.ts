import { getSystemErrorMap } from 'node:util'
import { causes } from './exit-status.ts'

/** How an error is printed. */
export interface ReportOptions {
  /** Add the stack traces of the error and its causes. */
  debug: boolean
  /** Use colour. */
  color: boolean
}

/**
 * The text for stderr: `cromwell: what failed: why`, and `hint: what to do` where there is something
 * to do. No stack trace unless `debug`.
 */
export function reportError(error: unknown, options: ReportOptions): string {
  const { message, hint } = describe(error)
  const lines = [`${paint('cromwell:', '31', options)} ${message}`]
  if (hint !== undefined) lines.push(`${paint('hint:', '36', options)} ${hint}`)
  if (options.debug) lines.push(...traces(error))
  return lines.map((line) => `${line}\n`).join('')
}

/** A warning in the same style. */
export function reportWarning(
  { message, hint }: { message: string; hint?: string },
  options: Pick<ReportOptions, 'color'>,
): string {
  const advice = hint === undefined ? '' : `${paint('hint:', '36', options)} ${hint}\n`
  return `${paint('cromwell:', '33', options)} warning: ${message}\n${advice}`
}

interface Description {
  message: string
  hint: string | undefined
}

function describe(error: unknown): Description {
  if (!(error instanceof Error)) return describeBug(String(error))
  if (isOurs(error)) {
    const code = error.code === 'ERR_CLI_USAGE' ? '' : ` (${error.code})`
    return { message: error.message + code, hint: hintOf(error) }
  }
  if (isSystemError(error)) return describeSystemError(error)
  return describeBug(`${error.name}: ${error.message}`)
}

function describeSystemError(error: SystemError): Description {
  const reason = getSystemErrorMap().get(error.errno)?.[1] ?? error.code
  const object = error.path === undefined ? '' : ` ${error.path}`
  const hint = SYSTEM_HINTS[error.code]
  return { message: `cannot ${error.syscall}${object}: ${reason} (${error.code})`, hint }
}

function describeBug(text: string): Description {
  return {
    message: `internal error: ${text}`,
    hint: 'this is a bug in cromwell; CROMWELL_DEBUG=1 in the environment shows where it happened',
  }
}

const SYSTEM_HINTS: Readonly<Record<string, string>> = {
  ENOSPC: 'free some space, or set CROMWELL_HOME to a directory on another file system',
  EDQUOT: 'your quota is used up; set CROMWELL_HOME to a directory on another file system',
  EROFS: 'set CROMWELL_HOME to a directory that can be written',
  EACCES: 'check the permissions of the path, or set CROMWELL_HOME to a directory of your own',
  ENOTDIR: 'a part of the path is a file; set CROMWELL_HOME to a directory',
  EMFILE: 'raise the limit of open files (ulimit -n)',
}

/** The first hint on the way down to the root cause. */
function hintOf(error: Error & { code: string }): string | undefined {
  for (const link of causes(error)) {
    if ('hint' in link && typeof link.hint === 'string') return inOurWords(link.hint)
    if (isSystemError(link) && KEEP_TO_HOME.test(error.code)) return SYSTEM_HINTS[link.code]
  }
  return undefined
}

/** The registry client names the programs that everybody has; who reads this has another one. */
function inOurWords(hint: string): string {
  return hint.replace(/podman login (\S+) or docker login \1/, 'cromwell login $1')
}

/** Errors of packages whose files are all in `$CROMWELL_HOME`. */
const KEEP_TO_HOME = /^ERR_(RUNTIME|PIDSTORE)_/

function traces(error: unknown): string[] {
  const links = [...causes(error)]
  if (links.length === 0) return [String(error)]
  return links.map(
    (link, depth) => (depth === 0 ? '' : 'caused by: ') + (link.stack ?? link.message),
  )
}

/** Codes of our packages; each of them has said what failed and why in its message. */
function isOurs(error: Error): error is Error & { code: string } {
  return (
    'code' in error &&
    typeof error.code === 'string' &&
    /^ERR_(CLI|ENGINE|RUNTIME|NS|PIDSTORE|ROOTFS|REGISTRY)_/.test(error.code)
  )
}

interface SystemError extends Error {
  code: string
  errno: number
  syscall: string
  path?: string
}

function isSystemError(error: Error): error is SystemError {
  return (
    'code' in error && 'errno' in error && 'syscall' in error && typeof error.errno === 'number'
  )
}

function paint(text: string, color: string, options: Pick<ReportOptions, 'color'>): string {
  return options.color ? `\u001b[1;${color}m${text}\u001b[0m` : text
}
