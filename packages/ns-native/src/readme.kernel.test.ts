import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { canCreateUserNamespace, requires, requiresProgram } from '@cromwell/test-support'
import { expect, test } from 'vitest'

const packageDirectory = fileURLToPath(new URL('..', import.meta.url))

/** Each program of a page, the heading it stands under, and what the page says that it prints. */
function programsOf(page: string) {
  const sections = readFileSync(`${packageDirectory}/${page}`, 'utf8').split(/^#+ /m).slice(1)
  return sections.flatMap((section) => {
    const [, program] = /^```ts\n(.*?)^```$/ms.exec(section) ?? []
    const [, printed] = /^It prints\n\n```\n(.*?)^```$/ms.exec(section) ?? []
    const title = section.split('\n', 1)[0] ?? ''
    return program === undefined || printed === undefined ? [] : [{ title, program, printed }]
  })
}

const programs = [...programsOf('README.md'), ...programsOf('LAUNCHING.md')]

test('there are four programs for everybody and one for authors of runtimes', () => {
  expect(programs).toHaveLength(5)
})

test.for(programs)('the program prints what the page says: $title', async (example, context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
  if (example.program.includes('curl')) requiresProgram(context, 'curl')
  // evaluated in the package's directory, the package finds itself by its own name
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '--eval', example.program],
    { cwd: packageDirectory },
  )
  // two streams, so the order between them is not fixed
  const lines = (text: string) => text.trim().split('\n').filter(Boolean).sort()
  expect(lines(`${stdout}\n${stderr}`)).toEqual(lines(example.printed))
})

test('the README’s decision about a system call is taken, and felt by the program', async (context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
  const page = readFileSync(`${packageDirectory}/LAUNCHING.md`, 'utf8')
  const section = page.slice(page.indexOf('## Decisions about system calls'))
  const [, program = ''] = /^```js\n(.*?)^```$/ms.exec(section) ?? []
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '--eval', program],
    { cwd: packageDirectory },
  )
  expect([stderr, ...stdout.trim().split('\n')]).toEqual([
    '',
    'socket(2, …)',
    expect.stringContaining('Network is unreachable'),
  ])
})
