import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { PIDSTORE_ERROR_CODES } from './errors.ts'

const root = join(import.meta.dirname, '..')
const readme = readFileSync(join(root, 'README.md'), 'utf8')

describe('the README', () => {
  it('has a program that prints what it says it prints', () => {
    const [, program, output] =
      /```ts\n([\s\S]*?)```[\s\S]*?```text\n([\s\S]*?)```/.exec(readme) ?? []
    if (program === undefined || output === undefined) throw new Error('README has no program')
    // From the package's directory the package finds itself by name.
    const printed = execFileSync(process.execPath, ['--input-type=module', '-e', program], {
      cwd: root,
      encoding: 'utf8',
    })
    expect(printed).toBe(output)
  })

  it('lists every error code', () => {
    for (const code of PIDSTORE_ERROR_CODES) expect(readme).toContain(`\`${code}\``)
  })
})
