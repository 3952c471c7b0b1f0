import { describe, expect, it } from 'vitest'
import { ellipsize, formatTable, printable } from './table.ts'

describe('formatTable', () => {
  it('makes each column as wide as its widest cell and separates by three spaces', () => {
    const table = formatTable(
      ['CONTAINER ID', 'IMAGE', 'NAMES'],
      [
        ['0123456789ab', 'alpine', 'keen_turing'],
        ['ba9876543210', 'localhost:5000/team/app:1.2', 'db'],
      ],
    )
    expect(table).toBe(
      [
        'CONTAINER ID   IMAGE                         NAMES',
        '0123456789ab   alpine                        keen_turing',
        'ba9876543210   localhost:5000/team/app:1.2   db',
        '',
      ].join('\n'),
    )
  })

  it('prints the header alone when there is nothing to list', () => {
    expect(formatTable(['ID', 'IMAGE'], [])).toBe('ID   IMAGE\n')
  })

  it('keeps an empty cell in its place and leaves no space at a line end', () => {
    expect(
      formatTable(
        ['A', 'B', 'C'],
        [
          ['1', '', '3'],
          ['1', '2', ''],
        ],
      ),
    ).toBe('A   B   C\n1       3\n1   2\n')
  })

  it('lets no cell move the cursor or start a line', () => {
    expect(formatTable(['X'], [['a\u001b[2Jb\nc']])).toBe('X\na\\x1b[2Jb\\nc\n')
  })
})

describe('printable', () => {
  it('shows control and direction-changing characters and keeps the rest', () => {
    expect(printable('é日本\u0007\u009b\u202e\u007f\t')).toBe('é日本\\x07\\x9b\\u202e\\x7f\\t')
  })
})

describe('ellipsize', () => {
  it('cuts by characters, not by halves of them', () => {
    expect(ellipsize('abcdef', 6)).toBe('abcdef')
    expect(ellipsize('abcdefg', 6)).toBe('abcde…')
    expect(ellipsize('🐳🐳🐳', 2)).toBe('🐳…')
  })
})
