import { Command } from 'clipanion'
import type { CliCommandClass } from './command.ts'

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
    addPositional() {},
    addRest() {},
    addProxy() {},
  }
  for (const [key, value] of Object.entries(new commandClass())) {
    if (isOption(value)) value.definition(recorder, key)
  }
  return declared
}

/** The part of clipanion's `CommandBuilder#addOption` argument that is read here. */
interface OptionDefinition {
  names: string[]
  arity?: number
  hidden?: boolean
  description?: string
}

/** An option before parsing: clipanion keeps these in the fields that later hold the values. */
interface OptionField {
  definition(builder: object, key: string): void
}

function isOption(value: unknown): value is OptionField {
  return typeof value === 'object' && value !== null && Command.isOption in value
}
