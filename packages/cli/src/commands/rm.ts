import { Option } from 'clipanion'
import { CliCommand } from '../command.ts'
import { forEachContainer } from '../for-each-container.ts'
import { openEngine } from '../open-engine.ts'

/** `cromwell rm`: remove containers and what they have written. */
export class RmCommand extends CliCommand {
  static override readonly paths = [['rm']]
  static override readonly operands = 'CONTAINER...'
  static override readonly operandCount = [1, Number.POSITIVE_INFINITY] as const
  static override readonly usage = CliCommand.Usage({
    description: 'Remove containers',
    examples: [['Remove everything, whether it runs or not', '$0 rm -f $($0 ps -aq)']],
  })

  force = Option.Boolean('-f,--force', false, { description: 'Also remove what runs' })

  async execute(): Promise<number> {
    const engine = await openEngine(this.context.environment)
    return forEachContainer(this, (container) => engine.remove(container, { force: this.force }))
  }
}
