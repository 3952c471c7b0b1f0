import { Option } from 'clipanion'
import { CliCommand } from '../command.ts'
import { containerIds, containerJson, containerTable } from '../container-listing.ts'
import { usageError } from '../errors.ts'
import { openEngine } from '../open-engine.ts'

/** `cromwell ps`: what runs, or with `-a` everything that has not been removed. */
export class PsCommand extends CliCommand {
  static override readonly paths = [['ps']]
  static override readonly usage = CliCommand.Usage({
    description: 'List containers',
    examples: [
      ['List what runs', '$0 ps'],
      ['Stop everything', '$0 stop $($0 ps -q)'],
    ],
  })

  all = Option.Boolean('-a,--all', false, {
    description: 'Show all containers, not only running ones',
  })
  quiet = Option.Boolean('-q,--quiet', false, { description: 'Print ids only' })
  format = Option.String('--format', 'table', {
    description: 'Print as `FORMAT`: table, or json (one array)',
  })
  noTrunc = Option.Boolean('--no-trunc', false, { description: 'Print ids and commands in full' })

  async execute(): Promise<number> {
    if (this.format !== 'table' && this.format !== 'json') {
      throw usageError(`unknown format: ${this.format}`, 'the formats are table and json')
    }
    const engine = await openEngine(this.context.environment)
    const containers = await engine.list({ all: this.all })
    const options = { truncate: !this.noTrunc, now: Date.now() }
    this.context.out.write(
      this.quiet
        ? containerIds(containers, options)
        : this.format === 'json'
          ? containerJson(containers, options.now)
          : containerTable(containers, options),
    )
    return 0
  }
}
