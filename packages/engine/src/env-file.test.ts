import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseEnvFile, readEnvFile } from './env-file.ts'

test('entries are taken as they stand: no quotes, no interpolation, blanks kept at the end', () => {
  const text = '\uFEFFA=1\r\n  B="two" \n# comment\n\nC\nD=a=b#c\n   # also\nE=$A\n'
  expect(parse(text)).toEqual(['A=1', 'B="two" ', 'C', 'D=a=b#c', 'E=$A'])
})

test.each([['=value'], ['with space=1'], ['NAME \n'], ['A=\0']])(
  'the line %j sets no variable and is an error with its number',
  (line) => {
    expect(() => parse(`OK=1\n${line}`)).toThrow(
      expect.objectContaining({
        code: 'ERR_ENGINE_ENV_FILE',
        message: expect.stringContaining('line 2'),
      }),
    )
  },
)

test('a file that is not UTF-8, or not there, is an error with its path', () => {
  expect(() => parseEnvFile(Uint8Array.of(0xff), '/f')).toThrow(
    expect.objectContaining({ code: 'ERR_ENGINE_ENV_FILE', path: '/f' }),
  )
  const directory = mkdtempSync(join(tmpdir(), 'cromwell-env-'))
  const path = join(directory, 'env')
  expect(() => readEnvFile(path)).toThrow(
    expect.objectContaining({ code: 'ERR_ENGINE_ENV_FILE', path }),
  )
  writeFileSync(path, 'A=1\n')
  expect(readEnvFile(path)).toEqual(['A=1'])
  rmSync(directory, { recursive: true })
})

function parse(text: string): string[] {
  return parseEnvFile(Buffer.from(text), '/env')
}
