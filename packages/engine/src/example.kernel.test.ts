import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '@cromwell/test-support'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestEngine, type TestEngine } from './engine.test.fixture.ts'
import { hostImage, hostLayer } from './host-image.test.fixture.ts'

const root = join(import.meta.dirname, '..')
let t: TestEngine

beforeAll(async () => {
  t = await createTestEngine()
})
afterAll(() => t.close())

test('the program of the README runs as it stands', async () => {
  const image = t.serve('library/hello:1', hostImage(hostLayer()))
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const program = /^```ts\n(.*?)^```$/ms.exec(readme)?.[1] ?? ''
  // Evaluated in the package's directory, where it finds itself by its own name.
  const args = ['--input-type=module', '-e', program, image]
  const env = { PATH: '/usr/bin:/bin', HOME: t.home }
  const { stdout, stderr, status } = await run(process.execPath, args, { env, cwd: root })
  expect(stderr).toBe('')
  expect(status).toBe(0)
  const lines = [`pulling ${image}`, 'hello from box', 'exit code 3', `${image} stopped 3`, '']
  expect(stdout.split('\n')).toEqual(lines)
})
