import { spawnSync } from 'node:child_process'
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { canCreateUserNamespace, requires, requiresProgram } from '@cromwell/test-support'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { findHelper } from './binding.ts'
import {
  containerSpec,
  eventually,
  idMapping,
  nodeProgram,
  runSpec,
  singleId,
  temporaryDirectory,
} from './container.test.fixture.ts'
import type { LaunchSpec } from './launch-spec.ts'
import { asJson, INNER_IDS, LAUNCH, oddHost, packageDirectory } from './odd-host.test.fixture.ts'

// Rules of docs/security.md that want an odd host: made here by a namespace, a user or a key.

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

test('CVE-2019-5736: what the helper runs from cannot be written, not even by us', async () => {
  await runSpec(containerSpec(['true']))
  const copies = readdirSync('/proc/self/fd')
    .map((fd) => `/proc/self/fd/${fd}`)
    .filter((path) => linkOf(path).startsWith('/memfd:cromwell-init'))
  expect(copies).toHaveLength(1)
  for (const path of copies) {
    const fd = await eventually(() => openUnlessBusy(path))
    onTestFinished(() => closeSync(fd))
    expect(() => writeSync(fd, '#!')).toThrow('EPERM')
    expect(() => ftruncateSync(fd, 0)).toThrow('EPERM')
  }
})

// The end is told before the helper has ended.
function openUnlessBusy(path: string): number | undefined {
  try {
    return openSync(path, 'r+')
  } catch (error) {
    if (error instanceof Error && error.message.startsWith('ETXTBSY')) return undefined
    throw error
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return '' // the descriptor that listed the directory
  }
}

test('CVE-2025-31133: a /dev/null that is something else is not used as a mask or a device', async () => {
  const impostor = join(temporaryDirectory(), 'null')
  writeFileSync(impostor, 'not null')
  const inner = { ...containerSpec(['true']), idMapping: INNER_IDS }
  const masksOnly = { ...inner, mounts: inner.mounts.filter(({ type }) => type !== 'dev') }
  for (const [spec, step, source] of [
    [inner, 'mnt', impostor],
    [masksOnly, 'mask', '/dev/zero'],
  ] as const) {
    const program = `try { ${LAUNCH} } catch (error) { console.log(error.step, error.errno) }`
    const host = oddHost(
      [process.execPath, ...nodeProgram(program, asJson(spec))],
      [{ type: 'bind', source, destination: '/dev/null' }],
    )
    expect(await runSpec(host)).toMatchObject({ stdout: `${step} 19\n`, exitCode: 0 })
  }
})

test('CVE-2025-52565: the terminal is passed on by descriptor, whatever its name means by now', async () => {
  const host = temporaryDirectory()
  for (const name of ['0', 'ptmx']) writeFileSync(join(host, name), 'of the host')
  const script = 'test -t 0 && echo terminal; stat -c "%F" /dev/console; cat /dev/pts/0'
  const cover = { type: 'bind' as const, source: host, destination: '/dev/pts', readonly: true }
  const covered = containerSpec(['/bin/sh', '-c', script], {
    mounts: [cover],
    process: { terminal: { columns: 80, rows: 24 } },
  })
  const { stdout } = await runSpec(covered)
  expect(stdout.replaceAll('\r', '')).toBe('terminal\ncharacter special file\nof the host')
})

test('a multiplexer of the image that is none is not taken for one', async () => {
  const spec = containerSpec(['true'], {
    image: (image) => {
      mkdirSync(join(image, 'dev'))
      writeFileSync(join(image, 'dev', 'ptmx'), '')
    },
    process: { terminal: { columns: 80, rows: 24 } },
  })
  const mounts = spec.mounts.filter(({ type }) => type !== 'dev')
  await expect(runSpec({ ...spec, mounts })).rejects.toMatchObject({ step: 'pty', errno: 25 })
})

test('the program does not start before the old root is gone, however long that takes', async (context) => {
  const strace = requiresProgram(context, 'strace')
  const helperPath = join(temporaryDirectory(), 'helper')
  const options = '-qq -f -o /dev/null -e trace=umount2 -e inject=umount2:delay_enter=200000'
  writeFileSync(helperPath, `#!/bin/sh\nexec ${strace} ${options} ${findHelper()}\n`, {
    mode: 0o755,
  })
  const script = "cd /..; ls -d home root; cut -d' ' -f5 /proc/self/mountinfo | grep -cx /"
  const spec = { ...containerSpec(['/bin/sh', '-c', script]), idMapping: singleId }
  const began = Date.now()
  expect((await runSpec(spec, { helperPath })).stdout).toBe('1\n')
  expect(Date.now() - began).toBeGreaterThan(200)
})

test('what the host mounts later does not appear inside, even where it shares its mounts', async () => {
  const point = temporaryDirectory()
  const inner: LaunchSpec = {
    ...oddHost(['/bin/sh', '-c', 'echo ready; read go; cat /proc/self/mountinfo'], []),
    namespaces: ['user', 'mount'],
    idMapping: INNER_IDS,
    mounts: [],
  }
  const source = `${LAUNCH}
    child.stdout.once('data', () => {
      execFileSync('mount', ['-t', 'tmpfs', 'appeared', ${JSON.stringify(point)}])
      child.stdin.end('go\\n')
    })
    child.stdout.pipe(process.stdout)
    await child.wait()
  `
  const node = [process.execPath, ...nodeProgram(source, asJson(inner))]
  const script = 'mount --make-rshared / && exec "$0" "$@"'
  const { stdout, stderr, exitCode } = await runSpec(
    oddHost(['/bin/sh', '-c', script, ...node], []),
  )
  expect([stderr, exitCode]).toEqual(['', 0])
  expect(stdout).toContain(' / / ')
  expect(stdout).not.toContain('appeared')
})

test('supplementary groups of the caller are left behind', (context) => {
  requires(context, 'root', process.getuid?.() === 0, 'only root can have itself other groups')
  const setpriv = requiresProgram(context, 'setpriv')
  const source = `${LAUNCH}; child.stdout.pipe(process.stdout); await child.wait()`
  const spec = asJson({ ...containerSpec(['grep', 'Groups', '/proc/self/status']), idMapping })
  const { stdout, stderr } = spawnSync(
    setpriv,
    ['--groups', '4,24', process.execPath, ...nodeProgram(source, spec)],
    { cwd: packageDirectory, encoding: 'utf8' },
  )
  expect([stdout.trim(), stderr]).toEqual(['Groups:', ''])
})

test('keys in the caller’s session keyring cannot be found inside, with no filter in the way', (context) => {
  const compiler = requiresProgram(context, 'cc')
  const tryKeys = join(temporaryDirectory(), 'try-keys')
  const code = fileURLToPath(new URL('./try-keys.c', import.meta.url))
  const built = spawnSync(compiler, ['-o', tryKeys, code], { encoding: 'utf8' })
  requires(context, 'cc', built.status === 0, `cannot compile ${code}: ${built.stderr}`)
  const hostFinds = spawnSync(tryKeys, [tryKeys, 'find'], { encoding: 'utf8' })
  requires(context, 'keyrings', hostFinds.stdout === '0\n', `no keyrings here: ${hostFinds.stderr}`)

  const mounts = [{ type: 'bind' as const, source: tryKeys, destination: '/try-keys' }]
  const spec = asJson(containerSpec(['/try-keys', 'find'], { mounts }))
  const source = `${LAUNCH}; child.stdout.pipe(process.stdout); await child.wait()`
  const { stdout, stderr } = spawnSync(tryKeys, [process.execPath, ...nodeProgram(source, spec)], {
    cwd: packageDirectory,
    encoding: 'utf8',
  })
  const ENOKEY = 126
  expect([stdout, stderr]).toEqual([`${ENOKEY}\n`, ''])
})
