import { spawn } from 'node:child_process'

/** How a program ended, and what it said. */
export interface RunResult {
  status: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

/** What {@link run} takes besides the command; `env` is the whole environment, nothing is inherited. */
export interface RunOptions {
  cwd?: string
  env?: NodeJS.ProcessEnv
  input?: string
  /** Killed with SIGKILL after this; 60 s unless given. */
  timeoutMs?: number
}

/** Run a program to its end without blocking this process, whose servers it may be talking to. */
export function run(
  command: string,
  args: readonly string[],
  { cwd, env = process.env, input = '', timeoutMs = 60_000 }: RunOptions = {},
): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, timeout: timeoutMs, killSignal: 'SIGKILL' })
    const stdout: Buffer[] = []
    const stderr: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
    child.on('error', reject)
    child.on('close', (status, signal) => {
      resolve({
        status,
        signal,
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString(),
      })
    })
    child.stdin.on('error', () => {}) // a program may end without reading its input
    child.stdin.end(input)
  })
}
