import type { CommandSurroundings } from './command.ts'
import { reportError } from './error-report.ts'

/**
 * Do something to each container named on the command line and print those it was done to; one that
 * fails is reported and does not keep the others from their turn. Returns the exit status.
 */
export async function forEachContainer(
  command: { operands: readonly string[]; context: CommandSurroundings },
  action: (container: string) => Promise<void>,
): Promise<number> {
  const { out, err, environment } = command.context
  let status = 0
  for (const container of command.operands) {
    try {
      await action(container)
      out.write(`${container}\n`)
    } catch (error) {
      const color = environment.color && err.isTerminal
      err.write(reportError(error, { debug: environment.debug, color }))
      status = 1
    }
  }
  return status
}
