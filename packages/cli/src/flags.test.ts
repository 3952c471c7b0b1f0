import { describe, expect, it } from 'vitest'
import { type FlagSpec, parseFlags } from './flags.ts'

const interactive: FlagSpec = { names: ['-i', '--interactive'], takesValue: false }
const tty: FlagSpec = { names: ['-t', '--tty'], takesValue: false }
const detach: FlagSpec = { names: ['-d', '--detach'], takesValue: false }
const rm: FlagSpec = { names: ['--rm'], takesValue: false }
const del: FlagSpec = { names: ['--del'], takesValue: false, lenient: true }
const env: FlagSpec = { names: ['-e', '--env'], takesValue: true }
const volume: FlagSpec = { names: ['-v', '--volume'], takesValue: true }
const hostname: FlagSpec = { names: ['-h', '--hostname'], takesValue: true }
const specs = [interactive, tty, detach, rm, del, env, volume, hostname]

function run(...argv: string[]) {
  return parse(specs, argv, false)
}

function parse(flags: readonly FlagSpec[], argv: readonly string[], interspersed: boolean) {
  const parsed = parseFlags(argv, flags, { interspersed })
  return {
    flags: parsed.flags.map(({ spec, value }) =>
      value === undefined ? spec.names.at(-1) : `${spec.names.at(-1)}=${value}`,
    ),
    operands: parsed.operands,
    help: parsed.help,
  }
}

describe('parseFlags', () => {
  it.each([
    [
      ['-itd', 'alpine'],
      ['--interactive', '--tty', '--detach'],
    ],
    [
      ['-i', '-t', 'alpine'],
      ['--interactive', '--tty'],
    ],
    [['-eA=1', 'alpine'], ['--env=A=1']],
    [['-e=A=1', 'alpine'], ['--env=A=1']],
    [['-e', 'A=1', 'alpine'], ['--env=A=1']],
    [['--env', 'A=1', 'alpine'], ['--env=A=1']],
    [['--env=A=1', 'alpine'], ['--env=A=1']],
    [
      ['-itv/a:/b', 'alpine'],
      ['--interactive', '--tty', '--volume=/a:/b'],
    ],
    [
      ['-ite', 'A', 'alpine'],
      ['--interactive', '--tty', '--env=A'],
    ],
    [['-e', '-x', 'alpine'], ['--env=-x']],
    [['--env', '--', 'alpine'], ['--env=--']],
    [['--env=', 'alpine'], ['--env=']],
    [['-e', 'TEXT=two\nlines', 'alpine'], ['--env=TEXT=two\nlines']],
    [['-h', 'box', 'alpine'], ['--hostname=box']],
    [['--rm=true', 'alpine'], ['--rm']],
    [['--rm', '--rm=false', 'alpine'], []],
    [['--rm=0', '--rm', 'alpine'], ['--rm']],
    [['-t=false', 'alpine'], []],
    [['--del=whatever', 'alpine'], ['--del']],
    [['--', 'alpine'], []],
  ])('reads %j as docker would', (argv, flags) => {
    expect(run(...argv)).toEqual({ flags, operands: ['alpine'], help: false })
  })

  it('ends flags at the first operand: the rest is the command, dashes and all', () => {
    expect(run('-i', 'alpine', 'sh', '-c', '--help', '--', '-t')).toEqual({
      flags: ['--interactive'],
      operands: ['alpine', 'sh', '-c', '--help', '--', '-t'],
      help: false,
    })
  })

  it('mixes flags and operands where a command allows it', () => {
    const parsed = parse([rm, env], ['one', '--rm', 'two', '-', '--', '--rm'], true)
    expect(parsed).toEqual({ flags: ['--rm'], operands: ['one', 'two', '-', '--rm'], help: false })
  })

  it('keeps the order of repeated value flags', () => {
    expect(run('-eA=1', '--env', 'B=2', '-e', 'A=3').flags).toEqual([
      '--env=A=1',
      '--env=B=2',
      '--env=A=3',
    ])
  })

  it('takes -h for help only where the command has no -h of its own', () => {
    expect(run('--help').help).toBe(true)
    expect(parse([rm], ['-h'], true).help).toBe(true)
    expect(run('-h', 'box').help).toBe(false)
  })

  it.each([
    [['--nope'], 'unknown flag: --nope', '--help lists the flags'],
    [['-m', '1g'], "unknown shorthand flag: 'm' in -m", '--help lists the flags'],
    [['--evn', 'A=1'], 'unknown flag: --evn', 'did you mean --env?'],
    [['--detatch'], 'unknown flag: --detatch', 'did you mean --detach?'],
    [['-iz', 'alpine'], "unknown shorthand flag: 'z' in -iz", '--help lists the flags'],
    [['-rm', 'alpine'], "unknown shorthand flag: 'r' in -rm", 'did you mean --rm?'],
    [['--env'], 'flag needs an argument: --env', undefined],
    [['-ie'], 'flag needs an argument: -e', undefined],
    [['--rm=maybe'], "invalid value for --rm: 'maybe' is neither true nor false", undefined],
    [['--=x'], 'bad flag syntax: --=x', undefined],
  ])('refuses %j', (argv, message, hint) => {
    expect(() => run(...argv)).toThrow(
      expect.objectContaining({ code: 'ERR_CLI_USAGE', message, ...(hint && { hint }) }),
    )
  })
})
