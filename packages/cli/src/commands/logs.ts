import { Option } from 'clipanion'
import { CliCommand } from '../command.ts'
import { openEngine } from '../open-engine.ts'
import { interruptibly } from '../signals.ts'

/** `cromwell logs`: what a container has written, each stream to ours. */
export class LogsCommand extends CliCommand {
  static override readonly paths = [['logs']]
  static override readonly operands = 'CONTAINER'
  static override readonly operandCount = [1, 1] as const
  static override readonly usage = CliCommand.Usage({
    description: 'Print what a container has written',
  })

  follow = Option.Boolean('-f,--follow', false, { description: 'Go on until the container ends' })
  timestamps = Option.Boolean('-t,--timestamps', false, {
    description: 'Put the time before each line',
  })

  async execute(): Promise<number> {
    const [container = ''] = this.operands
    const { out, err, environment } = this.context
    const engine = await openEngine(environment)
    await interruptibly(async (signal) => {
      for await (const entry of engine.logs(container, { follow: this.follow, signal })) {
        const output = entry.stream === 'stdout' ? out : err
        if (this.timestamps) output.write(`${entry.time} `)
        output.write(entry.content)
      }
    })
    return 0
  }
}
