import { formatColumns } from './table.ts'

/** A verb and the sentence that describes it. */
export interface VerbSummary {
  name: string
  description: string
}

/** What `cromwell` and `cromwell --help` print. */
export function programHelp(verbs: readonly VerbSummary[]): string {
  const rows = verbs.map(({ name, description }) => [name, description] as const)
  return [
    'Usage:  cromwell COMMAND',
    '',
    'Rootless Linux containers: no daemon, no root, nothing to install.',
    '',
    'Commands:',
    ...formatColumns(rows),
    '',
    'Options:',
    ...formatColumns([
      ['    --help', 'Print this, or with a command its options'],
      ['-v, --version', 'Print the version'],
    ]),
    '',
    "Run 'cromwell COMMAND --help' for more about a command.",
    '',
  ].join('\n')
}
