import { describe, expect, it } from 'vitest'
import { environmentFlags, parseEnvFile } from './env-file.ts'

const host = { LANG: 'ja_JP.UTF-8', EMPTY: '' }

function parse(text: string): string[] {
  return parseEnvFile(Buffer.from(text), 'vars', host)
}

describe('parseEnvFile', () => {
  it('takes values literally: quotes, blanks, dollars and equal signs stay', () => {
    expect(parse('A="x y"\nB= $A #not a comment \nC=a=b\nD=')).toEqual([
      'A="x y"',
      'B= $A #not a comment ',
      'C=a=b',
      'D=',
    ])
  })

  it('skips comments and empty lines, and drops a byte order mark, CR and leading blanks', () => {
    expect(parse('\ufeff# head\r\n\r\n  A=1\r\n\t# tail\n')).toEqual(['A=1'])
  })

  it('copies a bare name from the host if it is set there', () => {
    expect(parse('LANG\nEMPTY\nUNSET\n')).toEqual(['LANG=ja_JP.UTF-8', 'EMPTY='])
  })

  it.each([
    ['A B=1', "invalid env file vars, line 1: variable name 'A B' contains a blank"],
    ['\n=1', 'invalid env file vars, line 2: no variable name'],
  ])('refuses %j and says in which line', (text, message) => {
    expect(() => parse(text)).toThrow(
      expect.objectContaining({ code: 'ERR_CLI_ENV_FILE', message }),
    )
  })

  it('refuses bytes that are not UTF-8', () => {
    expect(() => parseEnvFile(Uint8Array.of(0x41, 0x3d, 0xff), 'vars', host)).toThrow(
      'cannot read env file vars: not UTF-8',
    )
  })
})

describe('environmentFlags', () => {
  it('resolves bare names and keeps the order', () => {
    const entries = ['A=1', 'LANG', 'UNSET', 'A=2']
    expect(environmentFlags({ files: [], entries }, host)).toEqual([
      'A=1',
      'LANG=ja_JP.UTF-8',
      'A=2',
    ])
  })

  it('refuses a variable without a name, and a file that is not there', () => {
    expect(() => environmentFlags({ files: [], entries: ['=x'] }, host)).toThrow(
      "invalid variable for --env: '=x'",
    )
    expect(() => environmentFlags({ files: ['/nonexistent'], entries: [] }, host)).toThrow(
      'cannot read env file /nonexistent: ENOENT',
    )
  })
})
