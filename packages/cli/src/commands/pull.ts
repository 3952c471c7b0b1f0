import { canonicalName, parseReference } from '@cromwell/registry/reference'
import { Option } from 'clipanion'
import { CliCommand } from '../command.ts'
import { createEngineDisplay } from '../engine-display.ts'
import { usageError } from '../errors.ts'
import { openEngine } from '../open-engine.ts'
import { interruptibly } from '../signals.ts'

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

  async execute(): Promise<number> {
    const [image = this.image] = this.operands
    if (image === undefined)
      throw usageError('cromwell pull needs IMAGE', 'usage: cromwell pull IMAGE')
    if (this.image !== undefined && this.operands.length > 0) {
      throw usageError(`one image at a time: ${this.image} or ${image}`)
    }
    const { out, err, environment } = this.context
    const display = createEngineDisplay({
      progress: out,
      err,
      quiet: this.quiet,
      color: environment.color,
      asked: image,
    })
    const engine = await openEngine(environment, display.onEvent)
    const { platform } = this
    try {
      await interruptibly((signal) => engine.pull(image, { platform, signal }))
    } finally {
      display.end()
    }
    out.write(`${canonicalName(parseReference(image))}\n`)
    return 0
  }
}
