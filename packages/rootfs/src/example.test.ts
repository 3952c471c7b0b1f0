import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const packageDirectory = join(import.meta.dirname, '..')

test('the program in the README runs and prints what it should', () => {
  const readme = readFileSync(join(packageDirectory, 'README.md'), 'utf8')
  const program = /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? ''
  // With the package as its directory, so that it finds the package by its own name; nothing is written there.
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', program], {
    cwd: packageDirectory,
    encoding: 'utf8',
  })
  expect(output).toBe('2 entries, sha256:\nhello from a layer\n')
})
