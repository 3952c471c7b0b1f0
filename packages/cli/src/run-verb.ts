import type { CliCommandClass, CliContext, CommandSurroundings } from './command.ts'
import { commandHelp } from './command-help.ts'
import { declaredOptions, fillOptions } from './declared-options.ts'
import { usageError } from './errors.ts'
import { type FlagSpec, parseFlags } from './flags.ts'
import type { Verb } from './verbs.ts'

/** Parse the words after a verb and do what they say; returns the exit status. Throws ERR_CLI_USAGE. */
export async function runVerb(
  verb: Verb,
  argv: readonly string[],
  context: CommandSurroundings,
): Promise<number> {
  const commandClass = await verb.load()
  const parsed = parseFlags(argv, flagSpecs(commandClass), commandClass)
  if (parsed.help) {
    context.out.write(commandHelp(verb.name, commandClass))
    return 0
  }
  checkOperandCount(verb.name, parsed.operands.length, commandClass)
  const command = new commandClass()
  fillOptions(command, parsed)
  command.operands = parsed.operands
  // without the streams of clipanion's own context: opening them would harm a container (output.ts)
  command.context = context as CliContext
  return command.execute()
}

function flagSpecs(commandClass: CliCommandClass): FlagSpec[] {
  return declaredOptions(commandClass).map(({ names, takesValue }) => ({
    names,
    takesValue,
    lenient: names.some((name) => commandClass.lenient.includes(name)),
  }))
}

function checkOperandCount(verb: string, count: number, commandClass: CliCommandClass): void {
  const [least, most] = commandClass.operandCount
  const hint = `usage: cromwell ${verb} [OPTIONS] ${commandClass.operands}`.trimEnd()
  if (count < least) throw usageError(`cromwell ${verb} needs ${commandClass.operands}`, hint)
  if (count > most) {
    throw usageError(
      `cromwell ${verb} takes ${most === 0 ? 'no arguments' : `only ${commandClass.operands}`}`,
      hint,
    )
  }
}
