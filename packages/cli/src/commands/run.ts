import { Option } from 'clipanion'
import { CliCommand } from '../command.ts'

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
  network = Option.String('--network', { description: 'Use network `MODE`: host (default), none' })
  readOnly = Option.Boolean('--read-only', false, { description: 'Make the root read-only' })
  pull = Option.String('--pull', { description: 'Pull `WHEN`: missing (default), always, never' })
  quiet = Option.Boolean('-q,--quiet', false, { description: 'Show no progress of the pull' })
  platform = Option.String('--platform', { description: 'Use the image for `OS/ARCH[/VARIANT]`' })
  rootfs = Option.String('--rootfs', {
    description: 'Run on directory `DIR` under an overlay, without an image',
  })
  operands = Option.Proxy()

  async execute(): Promise<number> {
    return 0
  }
}
