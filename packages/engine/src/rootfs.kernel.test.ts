import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { hostPrograms, requiresProgram, run } from '@cromwell/test-support'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestEngine, type TestEngine } from './engine.test.fixture.ts'
import { hostImage, hostLayer } from './host-image.test.fixture.ts'

let t: TestEngine

beforeAll(async () => {
  t = await createTestEngine()
})
afterAll(() => t.close())

const sh = (script: string) => ['sh', '-c', script]

test("this machine's own root can be run on, and cannot be changed", async () => {
  const script = 'touch /made-in-container /etc/made-in-container; ls / /proc/1/; cat /etc/hostname'
  const { stdout, exitCode } = await t.run({ rootfs: '/', hostname: 'box', command: sh(script) })
  expect(exitCode).toBe(0)
  expect(stdout).toContain('made-in-container')
  expect(stdout).toMatch(/^box$/m)
  expect(existsSync('/made-in-container') || existsSync('/etc/made-in-container')).toBe(false)
  expect(t.leftovers()).toEqual([])
})

test('a directory can be run on; it stays as it is, and the container keeps its own changes', async () => {
  const rootfs = join(t.home, 'tree')
  for (const { path, content, mode } of hostPrograms(['sh', 'cat', 'rm'])) {
    mkdirSync(join(rootfs, path, '..'), { recursive: true })
    writeFileSync(join(rootfs, path), content, { mode })
  }
  writeFileSync(join(rootfs, 'file'), 'original\n')
  const script = 'cat /file; echo changed >/file; rm /bin/rm; cat /file'
  const { stdout } = await t.run({ rootfs, command: sh(script) })
  expect(stdout).toBe('original\nchanged\n')
  expect(readFileSync(join(rootfs, 'file'), 'utf8')).toBe('original\n')
  expect(existsSync(join(rootfs, 'bin/rm'))).toBe(true)
})

test('what is no directory is an error', async () => {
  for (const rootfs of ['/etc/passwd', '/no/such']) {
    await expect(t.run({ rootfs, command: ['true'] })).rejects.toMatchObject({
      code: 'ERR_ENGINE_ROOTFS',
      path: rootfs,
    })
  }
  await expect(t.run({ rootfs: 'relative', command: ['true'] })).rejects.toMatchObject({
    code: 'ERR_ENGINE_OPTION',
  })
  await expect(t.run({ rootfs: '/' })).rejects.toMatchObject({
    code: 'ERR_ENGINE_NO_COMMAND',
    hint: expect.stringContaining('a directory never has'),
  })
})

test('where no overlay can be mounted the image is copied, and that is said', async (context) => {
  const unshare = requiresProgram(context, 'unshare')
  const image = t.serve('test/base:1', hostImage(hostLayer(), { tree: { 'a/b': 'content\n' } }))
  // An overlay cannot have its upper directory on another overlay: make the home one.
  const program = `
    import { createEngine, readHostFacts } from ${JSON.stringify(join(import.meta.dirname, '../dist/index.js'))}
    import { text } from 'node:stream/consumers'
    const warnings = []
    const engine = createEngine({
      home: process.argv[1],
      host: readHostFacts({ env: {}, cwd: '/' }),
      onEvent: (event) => event.type === 'warning' && warnings.push(event.code),
    })
    const run = async (script) => {
      const command = ['sh', '-c', script]
      const container = await engine.run({ image: ${JSON.stringify(image)}, command, removeOnExit: true })
      const [output, { exitCode }] = await Promise.all([text(container.stdout), container.wait()])
      return { output, exitCode }
    }
    const first = await run('cat /a/b; rm -r /a; id -u')
    const second = await run('cat /a/b')
    const left = await engine.list({ all: true })
    console.log(JSON.stringify({ first, second, warnings, left }))
  `
  const mounted = join(t.home, 'mounted')
  mkdirSync(mounted)
  const script = `
    mount -t tmpfs none "$1" && mkdir "$1/lower" "$1/upper" "$1/work" "$1/home" &&
    mount -t overlay -o "lowerdir=$1/lower,upperdir=$1/upper,workdir=$1/work,userxattr" none "$1/home" &&
    exec "$2" --input-type=module -e "$3" "$1/home"
  `
  const { stdout } = await run(unshare, [
    ...['-Urm', 'sh', '-ec', script, 'sh'],
    ...[mounted, process.execPath, program],
  ])
  const result = JSON.parse(stdout)
  expect(result.first).toEqual({ output: 'content\n0\n', exitCode: 0 })
  expect(result.second).toEqual({ output: 'content\n', exitCode: 0 })
  expect(result.warnings).toContain('copied-image')
  expect(result.left).toEqual([])
})
