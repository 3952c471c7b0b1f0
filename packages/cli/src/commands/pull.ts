import { Option } from 'clipanion'
import { CliCommand } from '../command.ts'

/** `cromwell pull`: an image into the local store. */
export class PullCommand extends CliCommand {
  static override readonly paths = [['pull']]
  static override readonly operands = 'IMAGE'
  static override readonly operandCount = [0, 1] as const
  static override readonly usage = CliCommand.Usage({
    description: 'Download an image from a registry',
    examples: [
      ['From Docker Hub', '$0 pull alpine'],
      [
        'For another architecture, from another registry',
        '$0 pull --platform linux/arm64 localhost:5000/team/app:1',
      ],
    ],
  })

  image = Option.String('-n', { hidden: true })
  platform = Option.String('--platform', { description: 'Pull the image for `OS/ARCH[/VARIANT]`' })
  quiet = Option.Boolean('-q,--quiet', false, { description: 'Print nothing but the reference' })
  operands = Option.Rest()

  async execute(): Promise<number> {
    return 0
  }
}
