import type { CommandSurroundings } from './command.ts'
import { usageError } from './errors.ts'
import { nearest } from './nearest.ts'
import { programHelp } from './program-help.ts'
import { VERBS, type Verb } from './verbs.ts'

/** What is done for a command line; `version` is what `--version` prints. */
export async function runProgram(
  argv: readonly string[],
  context: CommandSurroundings,
  version: string,
): Promise<number> {
  const [word = 'help', ...rest] = argv
  if (VERSION_FLAGS.has(word)) {
    context.out.write(`cromwell ${version}\n`)
    return 0
  }
  if (HELP_WORDS.has(word)) return printHelp(rest, context)
  const verb = findVerb(word)
  // clipanion takes longer to load than all the rest: only now is it needed
  const { runVerb } = await import('./run-verb.ts')
  return runVerb(verb, rest, context)
}

const VERSION_FLAGS: ReadonlySet<string> = new Set(['--version', '-v', '-V'])
const HELP_WORDS: ReadonlySet<string> = new Set(['help', '--help', '-h'])

async function printHelp([name]: readonly string[], { out }: CommandSurroundings): Promise<number> {
  if (name === undefined) out.write(programHelp(VERBS))
  else {
    const verb = findVerb(name)
    const { commandHelp } = await import('./command-help.ts')
    out.write(commandHelp(verb.name, await verb.load()))
  }
  return 0
}

function findVerb(word: string): Verb {
  const verb = VERBS.find(({ name }) => name === word)
  if (verb !== undefined) return verb
  if (word.startsWith('-')) {
    throw usageError(`unknown flag: ${word}`, "flags come after the command: 'cromwell run --rm …'")
  }
  const meant = nearest(
    word,
    VERBS.map(({ name }) => name),
  )
  throw usageError(
    `unknown command: ${word}`,
    meant === undefined ? "'cromwell --help' lists the commands" : `did you mean ${meant}?`,
  )
}
