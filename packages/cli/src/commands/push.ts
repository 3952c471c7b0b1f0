import { canonicalName, parseReference } from '@cromwell/registry/reference'
import { Option } from 'clipanion'
import { CliCommand } from '../command.ts'
import { createEngineDisplay } from '../engine-display.ts'
import { usageError } from '../errors.ts'
import { openEngine } from '../open-engine.ts'
import { interruptibly } from '../signals.ts'

/** `cromwell push`: an image from the local store to a registry. */
export class PushCommand extends CliCommand {
  static override readonly paths = [['push']]
  static override readonly operands = 'IMAGE [DESTINATION]'
  static override readonly operandCount = [1, 2] as const
  static override readonly usage = CliCommand.Usage({
    description: 'Upload an image to a registry',
    examples: [
      ['Under its own name', '$0 push localhost:5000/team/app:1'],
      ['Under another one', '$0 push alpine registry.example.com/mirror/alpine:3.20'],
    ],
  })

  quiet = Option.Boolean('-q,--quiet', false, { description: 'Print nothing but the reference' })

  async execute(): Promise<number> {
    const [image, destination] = this.operands
    if (image === undefined) throw usageError('cromwell push needs IMAGE')
    const { out, err, environment } = this.context
    const display = createEngineDisplay({
      progress: out,
      err,
      quiet: this.quiet,
      color: environment.color,
      asked: image,
    })
    const engine = await openEngine(environment, display.onEvent)
    try {
      const { name } = await interruptibly((signal) => engine.push(image, { destination, signal }))
      if (this.quiet) out.write(`${canonicalName(parseReference(name))}\n`)
    } finally {
      display.end()
    }
    return 0
  }
}
