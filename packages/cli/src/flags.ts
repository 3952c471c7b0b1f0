import { usageError } from './errors.ts'
import { nearest } from './nearest.ts'

/** A flag as the parser needs to know it. */
export interface FlagSpec {
  /** All spellings with their dashes, e.g. `['-e', '--env']`. */
  names: readonly string[]
  takesValue: boolean
  /** Accepts any `=VALUE` as true: only the original's `--del` does. */
  lenient?: boolean
}

/** What a command line says, flags resolved to their specs. */
export interface ParsedFlags {
  /** Value flags in the order given; a boolean flag once, if its last mention is true. */
  flags: Array<{ spec: FlagSpec; value?: string }>
  operands: string[]
  /** `--help` (or `-h` where the command has no `-h`) was among the flags. */
  help: boolean
}

/**
 * Parse flags by the grammar of docker's command line (pflag): `--flag=value`, `--flag value`,
 * bundled shorts with a value at the end (`-itv/a:/b`, `-eA=1`, `-e=A=1`), `--bool=false`, `--`.
 * With `interspersed` false, flags end at the first operand: what follows IMAGE is the command.
 * Throws ERR_CLI_USAGE.
 */
export function parseFlags(
  argv: readonly string[],
  specs: readonly FlagSpec[],
  options: { interspersed: boolean },
): ParsedFlags {
  return new FlagParser(argv, specs).parse(options.interspersed)
}

class FlagParser {
  readonly #byName = new Map<string, FlagSpec>()
  readonly #rest: string[]
  readonly #values: Array<{ spec: FlagSpec; value: string }> = []
  readonly #booleans = new Map<FlagSpec, boolean>()
  #help = false

  constructor(argv: readonly string[], specs: readonly FlagSpec[]) {
    for (const spec of specs) for (const name of spec.names) this.#byName.set(name, spec)
    this.#rest = argv.toReversed()
  }

  parse(interspersed: boolean): ParsedFlags {
    const operands: string[] = []
    for (let word = this.#rest.pop(); word !== undefined; word = this.#rest.pop()) {
      if (word === '--') break
      if (word.startsWith('--')) this.#long(word)
      else if (word.startsWith('-') && word !== '-') this.#shorts(word)
      else operands.push(word)
      if (operands.length > 0 && !interspersed) break
    }
    operands.push(...this.#rest.toReversed())
    const switches = [...this.#booleans].filter(([, on]) => on).map(([spec]) => ({ spec }))
    return { flags: [...switches, ...this.#values], operands, help: this.#help }
  }

  #long(word: string): void {
    const [, name, value] = /^([^=]+)(?:=([\s\S]*))?$/.exec(word) ?? ['', word]
    const spec = this.#byName.get(name)
    if (spec !== undefined) this.#set(spec, name, value)
    else if (name === '--help') this.#help = true
    else if (name === '--') throw usageError(`bad flag syntax: ${word}`)
    else throw unknownFlag(`unknown flag: ${name}`, name, [...this.#byName.keys(), '--help'])
  }

  #shorts(word: string): void {
    for (let at = 1; at < word.length; at++) {
      const name = `-${word[at]}`
      const bound = word[at + 1] === '=' ? word.slice(at + 2) : undefined
      const spec = this.#byName.get(name)
      if (spec === undefined && name === '-h') this.#help = true
      else if (spec === undefined) throw this.#unknownShort(name, word)
      else if (spec.takesValue) {
        this.#set(spec, name, bound ?? (word.slice(at + 1) || undefined))
        return
      } else this.#set(spec, name, bound)
      if (bound !== undefined) return
    }
  }

  #set(spec: FlagSpec, name: string, bound: string | undefined): void {
    if (!spec.takesValue) {
      this.#booleans.set(spec, bound === undefined || parseBoolean(bound, name, spec))
      return
    }
    const value = bound ?? this.#rest.pop()
    if (value === undefined) throw usageError(`flag needs an argument: ${name}`)
    this.#values.push({ spec, value })
  }

  #unknownShort(name: string, word: string): Error {
    const message = `unknown shorthand flag: '${name.slice(1)}' in ${word}`
    // one letter is too little to guess a word from
    return unknownFlag(message, `-${word}`, word.length > 2 ? [...this.#byName.keys()] : [])
  }
}

function unknownFlag(message: string, name: string, known: readonly string[]): Error {
  const meant = nearest(
    name,
    known.filter((candidate) => candidate.startsWith('--')),
  )
  return usageError(message, meant ? `did you mean ${meant}?` : '--help lists the flags')
}

function parseBoolean(text: string, name: string, spec: FlagSpec): boolean {
  if (/^(1|t|true)$/i.test(text)) return true
  if (/^(0|f|false)$/i.test(text)) return false
  if (spec.lenient) return true
  throw usageError(`invalid value for ${name}: '${text}' is neither true nor false`)
}
