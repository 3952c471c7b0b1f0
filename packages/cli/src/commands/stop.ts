import { Option } from 'clipanion'
import { CliCommand } from '../command.ts'
import { usageError } from '../errors.ts'
import { forEachContainer } from '../for-each-container.ts'
import { openEngine } from '../open-engine.ts'

/** `cromwell stop`: the stop signal, and after a while the end. */
export class StopCommand extends CliCommand {
  static override readonly paths = [['stop']]
  static override readonly operands = 'CONTAINER...'
  static override readonly operandCount = [1, Number.POSITIVE_INFINITY] as const
  static override readonly usage = CliCommand.Usage({
    description: 'Stop containers',
    details: 'Containers are named by name, id, or the beginning of an id.',
  })

  time = Option.String('-t,--time', '10', {
    description: 'Kill what has not ended after `SECONDS`',
  })

  async execute(): Promise<number> {
    const timeoutMs = parseSeconds(this.time) * 1000
    const engine = await openEngine(this.context.environment)
    return forEachContainer(this, (container) => engine.stop(container, { timeoutMs }))
  }
}

function parseSeconds(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text)
  throw usageError(`invalid number of seconds: ${text}`)
}
