import type { RunOptions } from '@cromwell/engine'
import { Option } from 'clipanion'
import { CliCommand } from '../command.ts'
import { createEngineDisplay, type EngineDisplay } from '../engine-display.ts'
import { CliError } from '../errors.ts'
import { runInForeground } from '../foreground.ts'
import { openEngine } from '../open-engine.ts'
import { restoreTerminalOnExit } from '../restore-terminal.ts'
import { parseRunFlags } from '../run-flags.ts'
import { interruptibly } from '../signals.ts'
import { isTerminal, ownTerminal, type TerminalSize } from '../terminal.ts'

/** The size of a container's terminal where we have none ourselves. */
const DEFAULT_SIZE: TerminalSize = { columns: 80, rows: 24 }

/** `cromwell run`: a new container from an image, or on a directory. */
export class RunCommand extends CliCommand {
  static override readonly paths = [['run']]
  static override readonly operands = 'IMAGE [COMMAND] [ARG...]'
  static override readonly operandCount = [0, Number.POSITIVE_INFINITY] as const
  static override readonly interspersed = false
  static override readonly lenient = ['--del']
  static override readonly usage = CliCommand.Usage({
    description: 'Run a command in a new container',
    details: `
      With --rootfs, the first operand is the command: nothing is downloaded.
      The exit status is the command's own; 125 if cromwell itself failed, 126 if the command
      cannot be started, 127 if it does not exist, 128 + n if signal n killed it.
    `,
    examples: [
      ['A shell', '$0 run -it --rm alpine sh'],
      ['In the background', '$0 run -d --name web -v ./site:/www:ro busybox httpd -f -h /www'],
      ["On this machine's own files, safe from changes", '$0 run -it --rm --rootfs / sh'],
    ],
  })

  interactive = Option.Boolean('-i,--interactive', false, {
    description: 'Pass stdin on to the command',
  })
  tty = Option.Boolean('-t,--tty', false, { description: 'Give the command a terminal of its own' })
  detach = Option.Boolean('-d,--detach', false, {
    description: 'Run in the background and print the id',
  })
  rm = Option.Boolean('--rm', false, { description: 'Remove the container when it ends' })
  containerName = Option.String('--name', { description: 'Call the container `NAME`' })
  hostname = Option.String('-h,--hostname', { description: 'Host `NAME` inside the container' })
  env = Option.Array('-e,--env', [], {
    description: 'Set a variable: `NAME=VALUE`, or NAME for its value here',
  })
  envFile = Option.Array('--env-file', [], { description: 'Read variables from `FILE`' })
  workdir = Option.String('-w,--workdir', { description: 'Start in directory `DIR`' })
  user = Option.String('-u,--user', { description: 'Run as `USER[:GROUP]`, names or numbers' })
  volume = Option.Array('-v,--volume', [], {
    description: 'Show a host directory or file: `SOURCE:DESTINATION[:ro]`',
  })
  entrypoint = Option.String('--entrypoint', {
    description: "Run `PROGRAM` instead of the image's entrypoint",
  })
  network = Option.String('--network,--net', {
    description: 'Use network `MODE`: host (default), none',
  })
  readOnly = Option.Boolean('--read-only', false, { description: 'Make the root read-only' })
  memory = Option.String('-m,--memory', {
    description: 'Give it at most `SIZE` of memory: 512m, 2g',
  })
  cpus = Option.String('--cpus', { description: "Give it at most `NUMBER` processors' time: 1.5" })
  pidsLimit = Option.String('--pids-limit', {
    description: 'Let it have at most `NUMBER` processes and threads',
  })
  pull = Option.String('--pull', { description: 'Pull `WHEN`: missing (default), always, never' })
  quiet = Option.Boolean('-q,--quiet', false, { description: 'Show no progress of the pull' })
  platform = Option.String('--platform', { description: 'Use the image for `OS/ARCH[/VARIANT]`' })
  rootfs = Option.String('--rootfs', {
    description: 'Run on directory `DIR` under an overlay, without an image',
  })

  image = Option.String('-n', { hidden: true })
  exec = Option.String('--exec', { hidden: true })
  containerId = Option.String('--path', { hidden: true })
  del = Option.Boolean('--del', false, { hidden: true })

  async execute(): Promise<number> {
    const { environment, out } = this.context
    const options = parseRunFlags(this, environment)
    if (this.interactive && this.tty && !this.detach) await this.#takeTerminal()
    const display = this.#display(options)
    const engine = await openEngine(environment, display.onEvent)
    const terminal = this.tty ? ownTerminal() : undefined
    const start = (signal: AbortSignal) =>
      engine
        .run({
          ...options,
          terminal: this.tty ? (terminal?.size() ?? DEFAULT_SIZE) : undefined,
          stdio: this.detach ? undefined : [this.interactive ? 0 : 'ignore', 1, 2],
          signal,
        })
        .finally(display.end)
    if (this.detach) {
      out.write(`${(await interruptibly(start)).id}\n`)
      return 0
    }
    return runInForeground({
      start,
      terminalSize: terminal?.size,
      suspendable: !this.interactive,
    })
  }

  /** As docker: better no container than one whose prompt waits for keys that cannot come. */
  async #takeTerminal(): Promise<void> {
    if (!isTerminal(0)) {
      throw new CliError(
        'ERR_CLI_NOT_A_TERMINAL',
        'cannot use -i and -t: stdin is not a terminal',
        {
          hint: 'leave out -t to pipe data in',
        },
      )
    }
    await restoreTerminalOnExit(0)
  }

  #display({ image = '', pull }: RunOptions): EngineDisplay {
    const { environment, err } = this.context
    return createEngineDisplay({
      progress: err,
      err,
      quiet: this.quiet,
      color: environment.color,
      asked: image,
      announceMissing: pull === 'missing',
    })
  }
}
