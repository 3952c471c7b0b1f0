import { createRequire } from 'node:module'
import { describe, expect, it } from 'vitest'
import { readEnvironment } from './environment.ts'
import { Output } from './output.ts'

// Loaded by Node itself: vite would choose clipanion's other build, which only bundlers can resolve.
// The casts say what the build has made of these very files.
const require = createRequire(import.meta.url)
const { Option } = require('clipanion') as typeof import('clipanion')
const { CliCommand } = require('../dist/command.js') as typeof import('./command.ts')
const { commandHelp } = require('../dist/command-help.js') as typeof import('./command-help.ts')
const { runVerb } = require('../dist/run-verb.js') as typeof import('./run-verb.ts')

const context = {
  out: new Output(1),
  err: new Output(2),
  environment: readEnvironment({ HOME: '/h' }, { homedir: () => '/h', cwd: () => '/' }),
}

let last: unknown

class BrewCommand extends CliCommand {
  static override readonly paths = [['brew']]
  static override readonly operands = 'BEAN [ARG...]'
  static override readonly operandCount = [1, Number.POSITIVE_INFINITY] as const
  static override readonly interspersed = false
  static override readonly usage = CliCommand.Usage({
    description: 'Make coffee',
    examples: [['Strong', '$0 brew --size=2 arabica']],
  })

  hot = Option.Boolean('-h,--hot', false, { description: 'Serve hot' })
  size = Option.String('--size', { description: 'Cups of `N` dl' })
  additions = Option.Array('-a,--add', [], { description: 'Add `THING`' })
  secret = Option.String('-n', { hidden: true })

  async execute(): Promise<number> {
    const { hot, size, additions, secret, operands } = this
    last = { hot, size, additions, secret, operands }
    return 3
  }
}

function brew(...argv: string[]): Promise<number> {
  const verb = { name: 'brew', description: 'Make coffee', load: async () => BrewCommand }
  return runVerb(verb, argv, context)
}

describe('runVerb', () => {
  it('fills a clipanion class from docker’s grammar', async () => {
    const argv = [
      '-ha=milk',
      '--size',
      '-2',
      '--add',
      'two\nlines',
      '-n',
      'x',
      'robusta',
      '--hot',
      '--',
    ]
    expect(await brew(...argv)).toBe(3)
    expect(last).toEqual({
      hot: true,
      size: '-2',
      additions: ['milk', 'two\nlines'],
      secret: 'x',
      operands: ['robusta', '--hot', '--'],
    })
  })

  it('leaves out what was not given, and keeps empty values', async () => {
    await brew('--size=', '--hot=false', 'b', '')
    expect(last).toMatchObject({ hot: false, size: '', additions: [], operands: ['b', ''] })
    await brew('b')
    expect(last).toMatchObject({ size: undefined })
  })

  it('takes as many operands as xargs can give it', async () => {
    const operands = Array.from({ length: 100_000 }, (_, index) => `${index}`)
    await brew(...operands)
    expect(last).toMatchObject({ operands })
  })

  it('says how it wants to be used', async () => {
    await expect(brew()).rejects.toMatchObject({
      code: 'ERR_CLI_USAGE',
      message: 'cromwell brew needs BEAN [ARG...]',
      hint: 'usage: cromwell brew [OPTIONS] BEAN [ARG...]',
    })
  })
})

describe('commandHelp', () => {
  it('is made from the declaration', () => {
    expect(commandHelp('brew', BrewCommand)).toBe(
      [
        'Usage:  cromwell brew [OPTIONS] BEAN [ARG...]',
        '',
        'Make coffee',
        '',
        'Options:',
        '  -h, --hot         Serve hot',
        '      --size N      Cups of N dl',
        '  -a, --add THING   Add THING',
        '',
        'Examples:',
        '  Strong',
        '    $ cromwell brew --size=2 arabica',
        '',
      ].join('\n'),
    )
  })
})
