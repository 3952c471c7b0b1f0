import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { reportError, reportWarning } from './error-report.ts'
import { CliError, usageError } from './errors.ts'
import { statusOfEnding, statusOfError } from './exit-status.ts'

const plain = { debug: false, color: false }

/** An error as the other packages throw them. */
function coded(code: string, message: string, fields: object = {}): Error {
  return Object.assign(new Error(message), { code }, fields)
}

describe('reportError', () => {
  it('says what failed and why, with the code to look up, and what to do next', () => {
    const error = coded(
      'ERR_REGISTRY_NOT_FOUND',
      'cannot pull nope: the repository does not exist',
      {
        hint: 'check the name, or log in',
      },
    )
    expect(reportError(error, plain)).toBe(
      'cromwell: cannot pull nope: the repository does not exist (ERR_REGISTRY_NOT_FOUND)\n' +
        'hint: check the name, or log in\n',
    )
  })

  it('names its own login where the registry client names those that everybody has', () => {
    const hint = 'log in: podman login docker.io or docker login docker.io'
    const error = coded('ERR_REGISTRY_UNAUTHORIZED', 'cannot get x', { hint })
    expect(reportError(error, plain)).toMatch(/^hint: log in: cromwell login docker\.io$/m)
  })

  it('takes the hint of a cause where the error itself has none', () => {
    const cause = coded('ERR_NS_SETUP', 'clone: operation not permitted', { hint: 'do this' })
    const error = Object.assign(new Error('cannot start x: no user namespaces', { cause }), {
      code: 'ERR_ENGINE_START',
    })
    expect(reportError(error, plain)).toMatch(/^hint: do this$/m)
  })

  it('knows what to do about a system error in our own files, and only there', () => {
    const cause = Object.assign(new Error('ENOSPC: no space left on device, write'), {
      code: 'ENOSPC',
      errno: -28,
      syscall: 'write',
    })
    const full = coded('ERR_RUNTIME_STATE', 'cannot create x: ENOSPC', { cause })
    expect(reportError(full, plain)).toMatch(/^hint: free some space, or set CROMWELL_HOME/m)
    const file = Object.assign(new Error('ENOTDIR'), { code: 'ENOTDIR', errno: -20, syscall: 'x' })
    const unread = coded('ERR_PIDSTORE_READ', 'cannot list x: ENOTDIR', { cause: file })
    expect(reportError(unread, plain)).toMatch(/^hint: a part of the path is a file/m)
    const elsewhere = coded('ERR_ENGINE_VOLUME', 'cannot mount x: ENOSPC', { cause })
    expect(reportError(elsewhere, plain)).not.toContain('hint:')
  })

  it('names no code for a slip on the command line', () => {
    expect(reportError(usageError('unknown flag: --x', 'did you mean --y?'), plain)).toBe(
      'cromwell: unknown flag: --x\nhint: did you mean --y?\n',
    )
  })

  it('puts a system error into a sentence', () => {
    let error: unknown
    try {
      readFileSync('/nonexistent/file')
    } catch (caught) {
      error = caught
    }
    expect(reportError(error, plain)).toBe(
      'cromwell: cannot open /nonexistent/file: no such file or directory (ENOENT)\n',
    )
  })

  it('owns up to a bug without a stack trace, and shows it when asked', () => {
    const bug = new TypeError('x is not a function')
    expect(reportError(bug, plain)).toBe(
      'cromwell: internal error: TypeError: x is not a function\n' +
        'hint: this is a bug in cromwell; CROMWELL_DEBUG=1 in the environment shows where it happened\n',
    )
    expect(reportError(bug, { debug: true, color: false })).toContain('error-report.test.ts')
    expect(reportError('a string', plain)).toMatch(/^cromwell: internal error: a string\n/)
  })

  it('shows the traces of all causes with debug, also when they are circular', () => {
    const inner = new Error('inner')
    const outer = coded('ERR_ENGINE_START', 'outer', { cause: inner })
    inner.cause = outer
    const report = reportError(outer, { debug: true, color: false })
    expect(report.match(/caused by: Error: inner/g)).toHaveLength(1)
  })

  it('paints only the first word', () => {
    expect(reportWarning({ message: 'slow' }, { color: true })).toBe(
      '\u001b[1;33mcromwell:\u001b[0m warning: slow\n',
    )
    expect(reportWarning({ message: 'slow', hint: 'wait' }, { color: false })).toBe(
      'cromwell: warning: slow\nhint: wait\n',
    )
  })
})

describe('statusOfError', () => {
  it.each([
    ['no such file', coded('ERR_NS_EXEC', 'x', { errno: 2 }), 127],
    ['negative errno, as Node writes it', coded('ERR_NS_EXEC', 'x', { errno: -2 }), 127],
    ['a file where a directory should be', coded('ERR_NS_EXEC', 'x', { errno: 20 }), 127],
    ['permission denied', coded('ERR_NS_EXEC', 'x', { errno: 13 }), 126],
    ['a directory', coded('ERR_NS_EXEC', 'x', { errno: 21 }), 126],
    ['not a program', coded('ERR_NS_EXEC', 'x', { errno: 8 }), 126],
    ['the working directory', coded('ERR_NS_SETUP', 'x', { step: 'cwd', errno: 2 }), 126],
    ['a namespace', coded('ERR_NS_SETUP', 'x', { step: 'clone', errno: 1 }), 125],
    ['a slip on the command line', new CliError('ERR_CLI_USAGE', 'x'), 125],
    ['a missing image', coded('ERR_REGISTRY_NOT_FOUND', 'x'), 125],
    ['a bug', new TypeError('x'), 125],
    ['anything', 'x', 125],
  ])('maps %s by errno, not by text', (_what, error, status) => {
    expect(statusOfError(error)).toBe(status)
  })

  it('looks through the errors that wrap the failed exec', () => {
    const wrapped = new Error('cannot run x', { cause: coded('ERR_NS_EXEC', 'y', { errno: 13 }) })
    expect(statusOfError(Object.assign(wrapped, { code: 'ERR_RUNTIME_START' }))).toBe(126)
  })
})

describe('statusOfEnding', () => {
  it('is the exit code, or 128 + n for a signal', () => {
    expect(statusOfEnding({ exitCode: 3, signal: null })).toBe(3)
    expect(statusOfEnding({ exitCode: null, signal: 'SIGKILL' })).toBe(137)
    expect(statusOfEnding({ exitCode: null, signal: 'SIGTERM' })).toBe(143)
    expect(statusOfEnding({ exitCode: null, signal: null })).toBe(125)
  })
})
