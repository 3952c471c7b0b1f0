import { CliCommand } from '../command.ts'
import { usageError } from '../errors.ts'
import { openEngine } from '../open-engine.ts'

/** `cromwell tag`: another name for an image in the local store. */
export class TagCommand extends CliCommand {
  static override readonly paths = [['tag']]
  static override readonly operands = 'IMAGE NAME'
  static override readonly operandCount = [2, 2] as const
  static override readonly usage = CliCommand.Usage({
    description: 'Give an image another name',
    examples: [['To push it under that', '$0 tag alpine localhost:5000/team/alpine:3.20']],
  })

  async execute(): Promise<number> {
    const [image, name] = this.operands
    if (image === undefined || name === undefined)
      throw usageError('cromwell tag needs IMAGE and NAME')
    const engine = await openEngine(this.context.environment)
    await engine.tag(image, name)
    return 0
  }
}
