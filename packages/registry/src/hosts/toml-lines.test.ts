import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { indexLines, keyPath, lineOf } from './toml-lines.ts'

const DOCUMENT = `# a comment
unqualified-search-registries = ["a", "b"]

[[registry]]
location = "one" # [not.a.table]
mirror = [
  { location = "x" },
  ["y"],
]
note = """
[[registry]]
location = "not this one"
"""
insecure = false

[[registry]]
prefix = 'two'

  [[registry.mirror]]
  location = "m0"

  [[registry.mirror]]
  "location" = "m1 [["

[host."https://mirror.example:5000/v2"]
a.b = 1
[host."https://mirror.example:5000/v2".header]
x-key = "v"
`

describe('lineOf', () => {
  const lines = indexLines(DOCUMENT)

  it.each([
    [['unqualified-search-registries'], 2],
    [['registry', 0], 4],
    [['registry', 0, 'location'], 5],
    [['registry', 0, 'mirror'], 6],
    [['registry', 0, 'mirror', 0, 'location'], 6],
    [['registry', 0, 'insecure'], 14],
    [['registry', 0, 'absent'], 4],
    [['registry', 1], 16],
    [['registry', 1, 'prefix'], 17],
    [['registry', 1, 'mirror', 0], 19],
    [['registry', 1, 'mirror', 1, 'location'], 23],
    [['host', 'https://mirror.example:5000/v2'], 25],
    [['host', 'https://mirror.example:5000/v2', 'a', 'b'], 26],
    [['host', 'https://mirror.example:5000/v2', 'header', 'x-key'], 28],
    [['absent'], undefined],
    [[], undefined],
  ] as Array<[Array<string | number>, number | undefined]>)('of %j is %s', (path, line) => {
    expect(lineOf(lines, path)).toBe(line)
  })

  it('finds every element of an array of tables, whatever stands between', () => {
    const filler = fc.constantFrom('# x', '', 'a = 1', 'b = ["[[registry]]"]', "c = '[x]'")
    fc.assert(
      fc.property(fc.array(fc.array(filler, { maxLength: 3 }), { maxLength: 6 }), (groups) => {
        const text = groups.map((group) => ['[[registry]]', ...group].join('\n')).join('\n')
        const found = indexLines(text)
        const rows = text.split('\n')
        for (const [index] of groups.entries()) {
          const line = found.get(keyPath(['registry', index])) ?? 0
          expect(rows[line - 1]).toBe('[[registry]]')
          expect(rows.slice(0, line).filter((row) => row === '[[registry]]')).toHaveLength(
            index + 1,
          )
        }
      }),
    )
  })

  it('is found in any text without failing', () => {
    const unit = fc.constantFrom('[', ']', '"', "'", '=', '.', '#', '\n', ' ', 'a', '\\', '{', '}')
    fc.assert(fc.property(fc.string({ unit, maxLength: 200 }), (text) => void indexLines(text)))
  })
})
