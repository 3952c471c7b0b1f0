import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { expect, test } from 'vitest'

const packageDirectory = fileURLToPath(new URL('..', import.meta.url))

test('the README’s program runs and prints what the README says', (context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
  const readme = readFileSync(`${packageDirectory}/README.md`, 'utf8')
  const [, program = ''] = /^```ts\n(.*?)^```$/ms.exec(readme) ?? []
  const [, printed = ''] = /^It prints\n\n```\n(.*?)^```$/ms.exec(readme) ?? []

  // evaluated in the package's directory, the package finds itself by its own name
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '--eval', program],
    { cwd: packageDirectory, encoding: 'utf8' },
  )
  // two streams, so the order between them is not fixed
  const lines = (text: string) => text.trim().split('\n')
  expect([...lines(stdout), ...lines(stderr)].sort()).toEqual(lines(printed).sort())
  expect(status).toBe(0)
})

test('the README’s decision about a system call is taken, and felt by the program', (context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
  const readme = readFileSync(`${packageDirectory}/README.md`, 'utf8')
  const section = readme.slice(readme.indexOf('## Decisions about system calls'))
  const [, program = ''] = /^```js\n(.*?)^```$/ms.exec(section) ?? []
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '--eval', program],
    { cwd: packageDirectory, encoding: 'utf8' },
  )
  expect([stderr, ...stdout.trim().split('\n')]).toEqual([
    '',
    'socket(2, …)',
    expect.stringContaining('Network is unreachable'),
  ])
})
