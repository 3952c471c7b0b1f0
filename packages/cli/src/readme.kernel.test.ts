import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { canCreateUserNamespace, requires, run } from '@cromwell/test-support'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '..')
let scratch: string

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'cromwell-readme-'))
  symlinkSync(join(root, 'bin', 'cromwell.cjs'), join(scratch, 'cromwell'))
})

afterAll(() => rmSync(scratch, { recursive: true }))

/** The tour: each line after `$ `, and what it is said to print. */
function tour(): Array<{ command: string; output: string }> {
  const [, block = ''] =
    /```console\n([\s\S]*?)```/.exec(readFileSync(join(root, 'README.md'), 'utf8')) ?? []
  return block
    .split(/^\$ /m)
    .slice(1)
    .map((text) => {
      const [command = '', ...output] = text.split('\n')
      return { command, output: output.join('\n') }
    })
}

/** The text as a pattern in which `…` stands for anything in a line, and blanks for any number of blanks. */
function pattern(text: string): RegExp {
  const escaped = text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
  return new RegExp(`^${escaped.replaceAll('…', '.*').replace(/ +/g, ' +')}$`)
}

describe('the tour of the README', () => {
  it('is what happens', async (context) => {
    requires(context, 'user-namespaces', canCreateUserNamespace(), 'unshare -Ur fails')
    const env = {
      ...process.env,
      LC_ALL: 'C',
      PATH: `${scratch}:${process.env['PATH']}`,
      CROMWELL_HOME: join(scratch, 'home'),
    }
    expect(tour().length).toBeGreaterThan(5)
    for (const { command, output } of tour()) {
      const result = await run('sh', ['-c', `{ ${command}\n} 2>&1`], { env })
      expect(result.stdout, command).toMatch(pattern(output))
    }
  })
})
