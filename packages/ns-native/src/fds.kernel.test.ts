import { closeSync, constants, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join as joinPath } from 'node:path'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { collect, containerSpec, runSpec, temporaryDirectory } from './container.test.fixture.ts'
import { join } from './join.ts'
import { launch } from './launch.ts'

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

const silent = { stdio: ['ignore', 'ignore', 'ignore'] } as const

function open(path: string, flags: number = constants.O_RDWR): number {
  const fd = openSync(path, flags)
  onTestFinished(() => closeSync(fd))
  return fd
}

/** Files on the host that say their names. */
function files(...names: string[]): { path: string; fd: number }[] {
  const directory = temporaryDirectory()
  return names.map((name) => {
    const path = joinPath(directory, name)
    writeFileSync(path, `${name}\n`)
    return { path, fd: open(path) }
  })
}

const script = 'cat <&3; cat <&7; cat <&200; echo more >&7; ls /proc/self/fd | tr "\\n" " "'
const expected = 'three\nseven\nlast\n0 1 2 200 3 4 7 ' // 4 is ls’s own

test.each([
  ['by the addon', {}],
  ['without it', { addon: false }],
])(
  'descriptors have the numbers that were asked for, and no others get in: %s',
  async (_, options) => {
    const [three, seven, last] = files('three', 'seven', 'last')
    const fds = { 3: three?.fd ?? -1, 7: seven?.fd ?? -1, 200: last?.fd ?? -1 }
    const spec = containerSpec(['/bin/bash', '-c', script])
    expect(await runSpec(spec, { fds, ...options })).toMatchObject({ stdout: expected, stderr: '' })
    expect(readFileSync(seven?.path ?? '', 'utf8')).toBe('seven\nmore\n')
  },
)

test('numbers that the helper uses itself do not get in the way', async () => {
  const names = Array.from({ length: 32 }, (_, index) => `file${index}`)
  const fds = Object.fromEntries(files(...names).map(({ fd }, index) => [34 - index, fd]))
  const spec = containerSpec(['/bin/bash', '-c', 'for i in $(seq 3 34); do eval "cat <&$i"; done'])
  const { stdout } = await runSpec(spec, { fds })
  expect(stdout).toBe(`${names.toReversed().join('\n')}\n`)
})

test('a joined program gets them, the container’s first one does not', async () => {
  const [three, seven, last] = files('three', 'seven', 'last')
  const fds = { 3: three?.fd ?? -1, 7: seven?.fd ?? -1, 200: last?.fd ?? -1 }
  const container = await launch(containerSpec(['sleep', '1000']), silent)
  const process_ = { ...containerSpec([]).process, args: ['/bin/bash', '-c', script] }
  const child = await join(container, { process: process_ }, { stdio: ['ignore', 'pipe', 2], fds })
  expect(await collect(child.stdout)).toBe(expected)
  container.kill('SIGKILL')
  await container.wait()
})

test('they do not keep anything open that the program has closed', async () => {
  // The end of a pipe is seen when nobody holds the other end: not the monitor, nor PID 1.
  const container = await launch(
    containerSpec(['/bin/bash', '-c', 'echo -n said; exec 1>&- ; sleep 1000']),
    { stdio: ['ignore', 'pipe', 'ignore'], fds: { 9: open('/dev/null') } },
  )
  expect(await collect(container.stdout)).toBe('said')
  container.kill('SIGKILL')
  await container.wait()
})

test('CVE-2024-21626: what leads out of the container is refused', async () => {
  const directory = open('/', constants.O_RDONLY)
  const spec = containerSpec(['true'])
  await expect(launch(spec, { ...silent, fds: { 3: directory } })).rejects.toMatchObject({
    code: 'ERR_NS_SETUP',
    step: 'stdio',
    errno: 21,
    path: 'descriptor 3',
  })
  const terminal = open('/dev/ptmx', constants.O_RDWR | constants.O_NOCTTY)
  await expect(launch(spec, { ...silent, fds: { 4: terminal } })).rejects.toMatchObject({
    code: 'ERR_NS_SETUP',
    step: 'stdio',
    errno: 1,
    hint: expect.stringContaining('terminal'),
  })
})

test('a descriptor that is not open, or a number that cannot be, is an error', async () => {
  const spec = containerSpec(['true'])
  await expect(launch(spec, { ...silent, fds: { 3: 999_999 } })).rejects.toMatchObject({
    code: 'ERR_NS_HELPER',
    errno: 9,
  })
  for (const fds of [{ 2: 1 }, { 256: 1 }, { 3: -1 }]) {
    await expect(launch(spec, { ...silent, fds })).rejects.toMatchObject({ code: 'ERR_NS_SPEC' })
  }
})
