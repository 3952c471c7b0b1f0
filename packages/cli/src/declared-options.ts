import { Command } from 'clipanion'
import type { CliCommand, CliCommandClass } from './command.ts'
import type { ParsedFlags } from './flags.ts'

/** An option as its command class declares it. */
export interface DeclaredOption {
  names: readonly string[]
  takesValue: boolean
  hidden: boolean
  description: string
}

/** The options of a command class in the order of their declaration, asked for as clipanion does. */
export function declaredOptions(commandClass: CliCommandClass): DeclaredOption[] {
  const declared: DeclaredOption[] = []
  const recorder = {
    addOption({ names, arity = 0, hidden = false, description = '' }: OptionDefinition) {
      declared.push({ names, takesValue: arity > 0, hidden, description })
    },
  }
  for (const [key, field] of optionFields(new commandClass())) field.definition(recorder, key)
  return declared
}

/**
 * Give the options of a command the values of the command line, as clipanion does when its own parser
 * has read it. (That parser builds a state machine of all options at each start: 5 ms of `run`.)
 */
export function fillOptions(command: CliCommand, { flags }: ParsedFlags): void {
  const options = flags.map(({ spec, value = true }) => ({ name: spec.names[0] ?? '', value }))
  for (const [key, field] of optionFields(command)) {
    const value = field.transformer({}, key, { options }, { env: {} })
    Object.assign(command, { [key]: value })
  }
}

/** The part of clipanion's `CommandBuilder#addOption` argument that is read here. */
interface OptionDefinition {
  names: string[]
  arity?: number
  hidden?: boolean
  description?: string
}

/** An option before parsing (clipanion's CommandOption): it is in the field that later holds the value. */
interface OptionField {
  definition(builder: object, key: string): void
  transformer(
    builder: object,
    key: string,
    state: { options: ReadonlyArray<{ name: string; value: string | boolean }> },
    context: object,
  ): unknown
}

function optionFields(command: CliCommand): Array<[key: string, field: OptionField]> {
  return Object.entries(command).filter((entry): entry is [string, OptionField] =>
    isOption(entry[1]),
  )
}

function isOption(value: unknown): value is OptionField {
  return typeof value === 'object' && value !== null && Command.isOption in value
}
