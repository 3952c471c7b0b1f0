import { homedir } from 'node:os'
import { readEnvironment } from './environment.ts'
import { reportError } from './error-report.ts'
import { STATUS_FAILED, statusOfError } from './exit-status.ts'
import { Output, OutputClosedError } from './output.ts'
import { runProgram } from './program.ts'
import { InterruptedError } from './signals.ts'

/** Replaced by the bundler with the package's version. */
declare const CROMWELL_VERSION: string

const out = new Output(1)
const err = new Output(2)
const environment = readEnvironment(process.env, {
  homedir,
  cwd: () => process.cwd(),
  uid: process.geteuid?.(),
  self: [process.execPath, ...process.argv.slice(1, 2)],
})

process.on('uncaughtException', fail)
runProgram(process.argv.slice(2), { out, err, environment }, CROMWELL_VERSION).then(
  (status) => process.exit(status),
  fail,
)

/** 128 + SIGPIPE: what a shell sees of a program whose reader went away. */
const STATUS_OUTPUT_CLOSED = 141

function fail(error: unknown): void {
  if (error instanceof OutputClosedError) process.exit(STATUS_OUTPUT_CLOSED)
  // dying of it is what tells a shell to stop its loop, too
  if (error instanceof InterruptedError) process.kill(process.pid, error.signal)
  let status = STATUS_FAILED
  try {
    status = statusOfError(error)
    const color = environment.color && err.isTerminal
    err.write(reportError(error, { debug: environment.debug, color }))
  } finally {
    process.exit(status)
  }
}
