import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import {
  containerSpec,
  runScript,
  runSpec,
  singleId,
  temporaryDirectory,
} from './container.test.fixture.ts'
import { hostSystemMounts } from './host-system.ts'
import { launch } from './launch.ts'
import type { LaunchSpec, Mount } from './launch-spec.ts'

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

/** A root that is a tmpfs, with the host's programs in it and these mounts besides. */
function tmpfsRoot(script: string, mounts: readonly Mount[] = []): LaunchSpec {
  const base: readonly Mount[] = [
    ...hostSystemMounts(),
    { type: 'proc', destination: '/proc' },
    { type: 'dev', destination: '/dev' },
  ]
  return {
    ...containerSpec(['/bin/sh', '-c', script]),
    root: { tmpfs: {} },
    mounts: [...base, ...mounts],
  }
}

test('a root can be a tmpfs: no directory of the host is needed, nothing of it is left', async () => {
  const script = 'ls /; stat -f -c %T /; stat -c %a /; touch /new && ls /new; head -1 /etc/passwd'
  const { stdout, stderr } = await runSpec(tmpfsRoot(script))
  expect(stderr).toBe('')
  const [names, rest] = [stdout.split('\n').slice(0, -5), stdout.split('\n').slice(-5)]
  expect(names).toEqual(expect.arrayContaining(['bin', 'dev', 'etc', 'proc', 'usr']))
  expect(names).not.toContain('home')
  expect(names).not.toContain('tmp')
  const [passwd = ''] = readFileSync('/etc/passwd', 'utf8').split('\n')
  expect(rest).toEqual(['tmpfs', '755', '/new', passwd, ''])
})

test('a tmpfs root has the size and mode asked for, and can be read-only', async () => {
  const spec = tmpfsRoot('stat -c %a /; stat -f -c "%b %S" /; touch /x')
  const tmpfs = { sizeBytes: 1 << 20, mode: 0o751 }
  const { stdout, stderr } = await runSpec({ ...spec, root: { tmpfs, readonly: true } })
  const [mode, sizes = ''] = stdout.split('\n')
  const [blocks = 0, size = 0] = sizes.split(' ').map(Number)
  expect([mode, blocks * size]).toEqual(['751', 1 << 20])
  expect(stderr).toContain('Read-only file system')
})

test('the old root is gone behind a tmpfs root, however one climbs', async () => {
  const { stdout } = await runSpec(
    tmpfsRoot("cd /; cd ..; cd ../../..; ls -A; awk '{print $5}' /proc/self/mountinfo", [
      { type: 'file', destination: '/etc/hosts', content: 'x' },
    ]),
  )
  expect(stdout).not.toMatch(/^home$/m)
  const points = stdout.split('\n').filter((line) => line.startsWith('/'))
  expect(points.filter((point) => point === '/')).toHaveLength(1)
  for (const point of points) expect(point).toMatch(/^\/($|usr|bin|sbin|lib|proc|dev|etc)/)
})

test('the host’s programs work below it, its files cannot be written, its secrets are not there', async () => {
  const script = `test ! -e /etc/shadow && test ! -e /home && test ! -e /root && echo clean
    touch /usr/x /etc/passwd; ls -l /bin | cut -c1; id -un; awk 'BEGIN { print 6 * 7 }'`
  const { stdout, stderr } = await runSpec(tmpfsRoot(script))
  expect(stdout).toMatch(/^clean\n(l|t)[\s\S]*\nroot\n42\n$/)
  expect(stderr).toMatch(/\/usr\/x.*Read-only file system/)
  expect(stderr).toMatch(/\/etc\/passwd.*(Read-only|denied)/)
})

test('a file has its content and mode, is read-only unless said otherwise, and is nothing of the host’s', async () => {
  const script = `cat /etc/hosts; stat -c '%a %u %g' /etc/hosts /run/s; echo x > /etc/hosts
    echo more >> /run/s && cat /run/s; /opt/tool; grep ' /etc/hosts ' /proc/self/mountinfo; od -An -tx1 /b`
  const { stdout, stderr } = await runScript(script, {
    mounts: [
      { type: 'file', destination: '/etc/hosts', content: '127.0.0.1 ärger\n' },
      { type: 'file', destination: '/run/s', content: 's\n', mode: 0o600, readonly: false },
      { type: 'file', destination: '/opt/tool', content: '#!/bin/sh\necho ran\n', mode: 0o755 },
      { type: 'file', destination: '/b', content: Uint8Array.of(0, 255, 10) },
      { type: 'file', destination: '/empty', content: '' },
    ],
  })
  const lines = stdout.split('\n')
  expect(lines.slice(0, 6)).toEqual(['127.0.0.1 ärger', '644 0 0', '600 0 0', 's', 'more', 'ran'])
  expect(lines[6]).toMatch(/ \/etc\/hosts ro,nosuid,nodev.* - tmpfs tmpfs /)
  expect(lines[7]).toBe(' 00 ff 0a')
  expect(stderr).toContain('Read-only file system')
})

test('a large file arrives whole', async () => {
  const content = Buffer.alloc(5_000_000, 'cromwell ')
  const { stdout } = await runScript('wc -c < /big; tail -c 9 /big', {
    mounts: [{ type: 'file', destination: '/big', content }],
  })
  expect(stdout).toBe('5000000\nell cromw')
})

test('files cannot be put where a link of the image leads to the host', async () => {
  const host = temporaryDirectory()
  writeFileSync(join(host, 'file'), 'of the host')
  await runScript('true', {
    mounts: [{ type: 'file', destination: '/link/file', content: 'ours' }],
    image: (directory) => {
      mkdirSync(join(directory, host), { recursive: true })
    },
  })
  expect(readFileSync(join(host, 'file'), 'utf8')).toBe('of the host')
})

test('symbolic links are made, kept when they are there, and never replace something else', async () => {
  const links: Mount[] = [
    { type: 'symlink', destination: '/opt/a/link', target: '../b' },
    { type: 'symlink', destination: '/opt/a/link', target: '../b' },
  ]
  const { stdout } = await runScript('readlink /opt/a/link', { mounts: links })
  expect(stdout).toBe('../b\n')
  const refused = runScript('true', {
    mounts: [...links, { type: 'symlink', destination: '/opt/a/link', target: '/other' }],
  })
  await expect(refused).rejects.toMatchObject({ step: 'mnt', errno: 17, path: '/opt/a/link' })
})

test('a devpts of its own gives terminals, with and without the rest of /dev', async () => {
  const script = 'stat -f -c %T /pts; stat -c %a /pts/ptmx; ls /pts'
  const { stdout } = await runScript(script, { mounts: [{ type: 'devpts', destination: '/pts' }] })
  expect(stdout).toBe('devpts\n666\nptmx\n')

  const spec = containerSpec(['/bin/sh', '-c', 'tty; test -t 0 && echo terminal'], {
    process: { terminal: { columns: 80, rows: 24 } },
  })
  const mounts = spec.mounts.filter(({ type }) => type !== 'dev')
  const pts: Mount = { type: 'devpts', destination: '/dev/pts' }
  const { stdout: tty } = await runSpec({ ...spec, mounts: [...mounts, pts] })
  expect(tty.replaceAll('\r', '')).toBe('/dev/pts/0\nterminal\n')
})

test('a bind takes along what is mounted below, unless told not to', async (context) => {
  const outer = temporaryDirectory()
  mkdirSync(join(outer, 'below'))
  const bind = { type: 'bind' as const, source: '/dev', destination: '/host-dev' }
  requires(context, 'mounts', existsSync('/dev/pts/ptmx'), 'nothing is mounted below /dev here')
  const count = 'stat -f -c %T /host-dev/pts'
  expect((await runScript(count, { mounts: [bind] })).stdout).toBe('devpts\n')
  const alone = { ...bind, recursive: false }
  // What was mounted below when the user namespace was made may not be uncovered.
  const uncovered = runScript(count, { mounts: [alone] })
  await expect(uncovered).rejects.toMatchObject({
    step: 'mnt',
    errno: 22,
    hint: expect.stringContaining('recursive'),
  })
  const single = { ...bind, source: outer, recursive: false }
  expect((await runScript('ls /host-dev', { mounts: [single] })).stdout).toBe('below\n')
})

test('a socket that is masked cannot be connected to', async () => {
  const directory = temporaryDirectory()
  const socket = join(directory, 'docker.sock')
  let connections = 0
  const server = createServer((client) => {
    connections++
    client.destroy()
  })
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  onTestFinished(() => void server.close())
  const spec = containerSpec([
    process.execPath,
    '-e',
    `require('node:net').connect('/run/dir/docker.sock').on('error', (e) => console.log(e.code)).on('connect', () => console.log('in'))`,
  ])
  const binds: Mount[] = [
    { type: 'bind', source: directory, destination: '/run/dir' },
    { type: 'bind', source: process.execPath, destination: process.execPath, readonly: true },
  ]
  const shown = { ...spec, idMapping: singleId, mounts: [...spec.mounts, ...binds] }
  expect((await runSpec(shown)).stdout).toBe('in\n')
  const masked = { ...shown, maskedPaths: [...shown.maskedPaths, '/run/dir/docker.sock'] }
  expect((await runSpec(masked)).stdout).toBe('ECONNREFUSED\n')
  expect(connections).toBe(1)
})

test('what a root and mounts cannot be is refused before anything is done', async () => {
  const spec = containerSpec(['true'])
  const options = { stdio: ['ignore', 'ignore', 'ignore'] } as const
  // the types forbid it, JSON does not
  const both = { path: '/', tmpfs: {} } as unknown as { tmpfs: object }
  for (const [wrong, pointer] of [
    [{ root: both }, '/root'],
    [{ root: { tmpfs: { mode: -1 } } }, '/root/tmpfs/mode'],
    [{ mounts: [{ type: 'symlink', destination: '/x', target: '' }] }, '/mounts/0/target'],
    [{ mounts: [{ type: 'file', destination: '/x', content: 1 }] }, '/mounts/0/content'],
  ] as const) {
    const launched = launch({ ...spec, ...wrong } as LaunchSpec, options)
    await expect(launched).rejects.toMatchObject({ code: 'ERR_NS_SPEC', pointer })
  }
})
