import { type BaseContext, Command } from 'clipanion'
import type { Environment } from './environment.ts'
import type { Output } from './output.ts'

/** What every command is given: the two outputs and what was read of the surroundings. */
export interface CommandSurroundings {
  out: Output
  err: Output
  environment: Environment
}

/** The same with what clipanion adds. */
export type CliContext = BaseContext & CommandSurroundings

/**
 * A verb of the command line: a clipanion class whose options are parsed by docker's grammar
 * (flags.ts) and whose help is rendered in docker's layout (command-help.ts) from the same declaration.
 */
export abstract class CliCommand extends Command<CliContext> {
  /** The operands as the usage line shows them, e.g. `IMAGE [COMMAND] [ARG...]`. */
  static readonly operands: string = ''
  /** How few and how many operands there may be. */
  static readonly operandCount: readonly [number, number] = [0, 0]
  /** False when flags end at the first operand. */
  static readonly interspersed: boolean = true
  /** Boolean flags that take any `=VALUE` for true. */
  static readonly lenient: readonly string[] = []

  /** What stood on the command line beside the flags. */
  operands: readonly string[] = []

  /** Do it and return the exit status. Throws the packages' typed errors. */
  abstract override execute(): Promise<number>
}

/** The class of a {@link CliCommand}. */
export type CliCommandClass = Pick<
  typeof CliCommand,
  'operands' | 'operandCount' | 'interspersed' | 'lenient' | 'usage' | 'paths'
> &
  (new () => CliCommand)
