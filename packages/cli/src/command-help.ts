import type { CliCommandClass } from './command.ts'
import { type DeclaredOption, declaredOptions } from './declared-options.ts'
import { formatColumns } from './table.ts'

/** What `cromwell VERB --help` prints, generated from the command's declaration. */
export function commandHelp(verb: string, commandClass: CliCommandClass): string {
  const { description = '', details = '', examples = [] } = commandClass.usage ?? {}
  const options = declaredOptions(commandClass).filter(({ hidden }) => !hidden)
  const usage = ['cromwell', verb, options.length > 0 ? '[OPTIONS]' : '', commandClass.operands]
  return [
    `Usage:  ${usage.filter((part) => part !== '').join(' ')}`,
    '',
    description,
    ...(options.length > 0 ? ['', 'Options:', ...formatColumns(options.map(optionRow))] : []),
    ...(details === ''
      ? []
      : [
          '',
          ...details
            .trim()
            .split('\n')
            .map((line) => line.trim()),
        ]),
    ...(examples.length > 0 ? ['', 'Examples:'] : []),
    ...examples.flatMap(([what, line]) => [
      `  ${what}`,
      `    $ ${line.replaceAll('$0', 'cromwell')}`,
    ]),
    '',
  ].join('\n')
}

/** One option: its names, and its description with the back-quoted word moved over as the value's name. */
function optionRow({ names, takesValue, description }: DeclaredOption): readonly [string, string] {
  const short = names.find((name) => !name.startsWith('--'))
  const long = names.filter((name) => name.startsWith('--'))
  const value = takesValue ? ` ${/`(.+?)`/.exec(description)?.[1] ?? 'VALUE'}` : ''
  const spelled = short === undefined ? `    ${long.join(', ')}` : [short, ...long].join(', ')
  return [spelled + value, description.replaceAll('`', '')]
}
