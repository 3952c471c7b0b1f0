import { CliCommand } from '../command.ts'
import { openEngine } from '../open-engine.ts'
import { interruptibly } from '../signals.ts'

/** `cromwell logout`: forget the credentials for a registry. */
export class LogoutCommand extends CliCommand {
  static override readonly paths = [['logout']]
  static override readonly operands = '[SERVER]'
  static override readonly operandCount = [0, 1] as const
  static override readonly usage = CliCommand.Usage({
    description: 'Log out from a registry, by default from Docker Hub',
  })

  async execute(): Promise<number> {
    const [server = 'docker.io'] = this.operands
    const engine = await openEngine(this.context.environment)
    const { registry, files } = await interruptibly((signal) => engine.logout(server, { signal }))
    const text =
      files.length > 0
        ? `Removing login credentials for ${registry}`
        : `Not logged in to ${registry}`
    this.context.out.write(`${text}\n`)
    return 0
  }
}
