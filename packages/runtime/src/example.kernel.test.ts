import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hostPrograms, run } from '@cromwell/test-support'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { exampleConfig } from './example-config.test.fixture.ts'
import { removeOwnTree } from './removal.ts'

const root = join(import.meta.dirname, '..')
let directory: string

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'cromwell-readme-'))
  for (const { path, content, mode } of hostPrograms(['sh', 'sleep'])) {
    mkdirSync(join(directory, 'rootfs', path, '..'), { recursive: true })
    writeFileSync(join(directory, 'rootfs', path), content, { mode })
  }
  const config = exampleConfig()
  config.process.args = ['sh', '-c', 'echo hello; sleep 0.5; exit 3']
  config.process.user = { uid: 0, gid: 0 }
  config.linux = { ...config.linux, ...ownMappings() }
  writeFileSync(join(directory, 'config.json'), JSON.stringify(config))
})
afterAll(() => removeOwnTree(directory))

test('the program of the README runs as it stands', async () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const program = /^```ts\n(.*?)^```$/ms.exec(readme)?.[1] ?? ''
  // Evaluated in the package's directory, where it finds itself by its own name.
  const args = ['--input-type=module', '-e', program, directory, directory]
  const { stdout, stderr, status } = await run(process.execPath, args, { cwd: root })
  expect(stderr).toBe('')
  expect(status).toBe(0)
  // Two processes write: the order between them is not fixed.
  const lines = ['[]', 'hello', 'running', 'stopped with 3']
  expect(stdout.trim().split('\n').sort()).toEqual(lines)
})

/** As the README's program chooses them: root's own ids, or one. */
function ownMappings() {
  const { geteuid, getegid } = process
  const uid = geteuid?.() ?? 0
  const [inside = '0', , size = '1'] = readFileSync('/proc/self/uid_map', 'utf8')
    .trim()
    .split(/\s+/)
  const range = (id: number) =>
    uid === 0
      ? { containerID: Number(inside), hostID: Number(inside), size: Number(size) }
      : { containerID: 0, hostID: id, size: 1 }
  return { uidMappings: [range(uid)], gidMappings: [range(getegid?.() ?? 0)] }
}
