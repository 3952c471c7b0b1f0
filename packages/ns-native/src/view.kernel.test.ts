import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { beforeEach, expect, test } from 'vitest'
import {
  ALLOW_ALL,
  containerSpec,
  runScript,
  runSpec,
  temporaryDirectory,
} from './container.test.fixture.ts'
import { CAPABILITIES } from './defaults.ts'

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

test('/dev holds six devices, the usual links, and nothing else', async () => {
  const { stdout } = await runScript(
    'cd /dev; ls; for d in full null random tty urandom zero; do stat -c "%n %F %t:%T" $d; done; ' +
      'readlink fd stdin stdout stderr ptmx core; stat -f -c %T pts shm',
  )
  const [names, rest] = [stdout.split('\n').slice(0, 15), stdout.split('\n').slice(15)]
  expect(names).toEqual(
    'core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero'.split(' '),
  )
  expect(rest.slice(0, 6)).toEqual([
    'full character special file 1:7',
    'null character special file 1:3',
    'random character special file 1:8',
    'tty character special file 5:0',
    'urandom character special file 1:9',
    'zero character special file 1:5',
  ])
  expect(rest.slice(6, 12)).toEqual([
    '/proc/self/fd',
    '/proc/self/fd/0',
    '/proc/self/fd/1',
    '/proc/self/fd/2',
    'pts/ptmx',
    '/proc/kcore',
  ])
})

test('devices work, and no others can be made or used', async () => {
  const { stdout, stderr } = await runScript(
    'echo x > /dev/null && head -c3 /dev/zero | od -An -tx1; mknod /tmp/sda b 8 0; mknod /m c 1 1',
    { process: { capabilities: Object.keys(CAPABILITIES), seccomp: ALLOW_ALL } },
  )
  expect(stdout.trim()).toBe('00 00 00')
  expect(stderr.match(/Operation not permitted/g)).toHaveLength(2)
})

test('/dev/shm has the size asked for', async () => {
  const spec = containerSpec(['stat', '-f', '-c', '%b %S', '/dev/shm'])
  const mounts = spec.mounts.map((mount) =>
    mount.type === 'dev' ? { ...mount, shmSizeBytes: 1 << 20 } : mount,
  )
  const [blocks, size] = (await runSpec({ ...spec, mounts })).stdout.split(' ').map(Number)
  expect((blocks ?? 0) * (size ?? 0)).toBe(1 << 20)
})

test('masked files are empty, masked directories are empty and read-only, missing ones are skipped', async () => {
  const { stdout, stderr } = await runScript(
    'cat /proc/keys /proc/timer_list /secret | wc -c; ls -A /hidden /hidden2; touch /hidden/x /hidden2/x; echo x > /secret; cat /secret',
    {
      maskedPaths: [
        '/proc/keys',
        '/proc/timer_list',
        '/secret',
        '/hidden',
        '/hidden2',
        '/missing/x',
      ],
      image: (directory) => {
        writeFileSync(join(directory, 'secret'), 'secret')
        for (const name of ['hidden', 'hidden2']) {
          mkdirSync(join(directory, name))
          writeFileSync(join(directory, name, 'file'), '')
        }
      },
    },
  )
  expect(stdout).toBe('0\n/hidden:\n\n/hidden2:\n')
  expect(stderr.match(/Read-only file system/g)).toHaveLength(2)
})

test('a mask cannot be redirected out of the container by a link', async () => {
  const host = temporaryDirectory()
  writeFileSync(join(host, 'file'), 'of the host')
  await runScript('true', {
    maskedPaths: ['/link', '/up'],
    readonlyPaths: ['/link'],
    image: (directory) => {
      symlinkSync(host, join(directory, 'link'))
      symlinkSync('../../../../../../..', join(directory, 'up'))
    },
  })
  expect(readFileSync(join(host, 'file'), 'utf8')).toBe('of the host')
})

test('read-only paths are read-only, and what is mounted below them too', async () => {
  const { stderr, stdout } = await runScript(
    'echo 1 > /proc/sys/vm/drop_caches; touch /ro/x; touch /ro/below/x; touch /rw && echo ok',
    {
      mounts: [{ type: 'tmpfs', destination: '/ro/below' }],
      readonlyPaths: ['/proc/sys', '/ro'],
    },
  )
  expect(stderr.match(/Read-only file system/g)).toHaveLength(3)
  expect(stdout).toBe('ok\n')
})

test('nothing of this can be undone from inside without CAP_SYS_ADMIN, whatever the filter', async () => {
  const { stdout, stderr } = await runScript(
    `umount /proc/keys && echo LEAK; umount -l /proc/sys && echo LEAK
     mount -o remount,rw /proc/sys && echo LEAK; mount -o remount,rw,bind /proc/sys && echo LEAK
     mount -o remount,rw,bind /sys && echo LEAK; umount -l /usr && echo LEAK
     mount -o remount,bind,dev / && echo LEAK
     echo x > /proc/sys/kernel/core_pattern && echo LEAK; echo end`,
    {
      process: { capabilities: ['CAP_CHOWN', 'CAP_SYS_CHROOT'], seccomp: ALLOW_ALL },
    },
  )
  expect(stdout).toBe('end\n')
  expect(stderr).not.toBe('')
})

test('the old root is gone: no mount of the host is left in sight', async () => {
  const { stdout } = await runScript('cat /proc/self/mountinfo')
  const points = stdout
    .trim()
    .split('\n')
    .map((line) => line.split(' ')[4])
  expect(points).toContain('/')
  for (const point of points) expect(point).toMatch(/^\/($|usr|bin|sbin|lib|proc|dev|sys|tmp)/)
  const [root = ''] = stdout.split('\n')
  expect(root).toContain(' - overlay overlay ')
  // nor is the host's layout: the layers have no names in there
  expect(root).not.toContain('cromwell-ns-')
})

test('mounts inside do not show outside', async () => {
  const before = readFileSync('/proc/self/mountinfo', 'utf8')
  await runScript('grep -c shared: /proc/self/mountinfo')
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).toBe(before)
})

test('chroot and climbing do not lead out', async () => {
  const { stdout } = await runScript(
    'cd /; for i in 1 2 3 4 5 6 7 8 9; do cd ..; done; ls; readlink /proc/self/root; readlink /proc/self/cwd',
  )
  expect(stdout.split('\n').slice(-3)).toEqual(['/', '/', ''])
  expect(stdout).not.toContain('home')
})

test('a read-only root cannot be written to, other mounts can', async () => {
  const spec = containerSpec(['/bin/sh', '-c', 'touch /x; touch /tmp/x && echo ok'])
  const { root } = spec
  if (root === undefined) throw new Error('the fixture has a root')
  const { stdout, stderr } = await runSpec({ ...spec, root: { ...root, readonly: true } })
  expect(stderr).toContain('Read-only file system')
  expect(stdout).toBe('ok\n')
})

test('what is written stays in the upper directory', async () => {
  const spec = containerSpec(['/bin/sh', '-c', 'echo new > /file; rm /old'], {
    image: (directory) => writeFileSync(join(directory, 'old'), ''),
  })
  await runSpec(spec)
  const {
    lowerDirs: [image = ''],
    upperDir = '',
  } = spec.root?.overlay ?? { lowerDirs: [] }
  expect(readFileSync(join(upperDir, 'file'), 'utf8')).toBe('new\n')
  expect(lstatSync(join(upperDir, 'old')).isCharacterDevice()).toBe(true)
  expect(readdirSync(image)).toContain('old')
})

test('layers lie base first, and their paths may hold any character', async () => {
  const directory = temporaryDirectory()
  const lowerDirs = ['a:b', 'c,d', 'e\\f', 'g h'].map((name, index) => {
    const path = join(directory, name)
    mkdirSync(path)
    writeFileSync(join(path, 'top'), `${index}\n`)
    return path
  })
  const spec = containerSpec(['cat', '/top'])
  const { overlay, path = '' } = spec.root ?? {}
  if (overlay === undefined) throw new Error('the fixture has an overlay')
  const root = {
    path,
    overlay: { ...overlay, lowerDirs: [...overlay.lowerDirs, ...lowerDirs], volatile: true },
  }
  expect((await runSpec({ ...spec, root })).stdout).toBe('3\n')
})

test('more than a page of layers can be mounted', async () => {
  const directory = temporaryDirectory()
  const lowerDirs = Array.from({ length: 120 }, (_, index) => {
    const path = join(directory, `${index}-${'long-name-'.repeat(12)}`)
    mkdirSync(path)
    writeFileSync(join(path, `file-${index}`), '')
    return path
  })
  const spec = containerSpec(['/bin/sh', '-c', 'ls / | grep -c file-'])
  const { overlay, path = '' } = spec.root ?? {}
  if (overlay === undefined) throw new Error('the fixture has an overlay')
  const root = { path, overlay: { ...overlay, lowerDirs: [...overlay.lowerDirs, ...lowerDirs] } }
  expect((await runSpec({ ...spec, root })).stdout).toBe('120\n')
})

test('a plain directory can be the root', async () => {
  const spec = containerSpec([
    '/bin/sh',
    '-c',
    'echo hi > /file; cat /proc/self/mountinfo | head -1',
  ])
  const path = spec.root?.overlay?.lowerDirs[0] ?? ''
  const { stdout } = await runSpec({ ...spec, root: { path } })
  expect(readFileSync(join(path, 'file'), 'utf8')).toBe('hi\n')
  expect(stdout).toContain(',nodev')
})

test('binds show files and directories of the host, with the flags asked for', async () => {
  const host = temporaryDirectory()
  writeFileSync(join(host, 'file'), 'content')
  const { stdout, stderr } = await runScript(
    'cat /data/file /deep/er/one; touch /data/new && echo written; touch /ro/x; grep -E " /(data|ro) " /proc/self/mountinfo',
    {
      mounts: [
        {
          type: 'bind',
          source: host,
          destination: '/data',
          nosuid: true,
          nodev: true,
          noexec: true,
        },
        { type: 'bind', source: host, destination: '/ro', readonly: true },
        { type: 'bind', source: join(host, 'file'), destination: '/deep/er/one' },
      ],
    },
  )
  expect(stdout).toContain('contentcontentwritten')
  expect(stderr).toContain('Read-only file system')
  expect(stdout).toMatch(/ \/data rw,nosuid,nodev,noexec[, ]/)
  expect(stdout).toMatch(/ \/ro ro[, ]/)
  expect(existsSync(join(host, 'new'))).toBe(true)
})

test('a tmpfs has the size and mode asked for', async () => {
  const { stdout } = await runScript('stat -c %a /t; stat -f -c "%b %S" /t', {
    mounts: [{ type: 'tmpfs', destination: '/t', sizeBytes: 1 << 20, mode: 0o1750, noexec: true }],
  })
  const [mode, sizes = ''] = stdout.split('\n')
  const [blocks = 0, size = 0] = sizes.split(' ').map(Number)
  expect([mode, blocks * size]).toEqual(['1750', 1 << 20])
})

test.each(['/proc', '/sys', '/dev'])(
  'an image whose %s is a link gets an error, the host nothing',
  async (name) => {
    const host = temporaryDirectory()
    for (const target of [host, '../../../../../../../tmp', '/proc/self/cwd']) {
      const started = runScript('true', {
        image: (directory) => symlinkSync(target, join(directory, name)),
      })
      await expect(started).rejects.toMatchObject({
        code: 'ERR_NS_SETUP',
        step: 'mnt',
        errno: 40,
        path: name,
        hint: expect.stringContaining('symbolic link'),
      })
    }
    expect(readdirSync(host)).toEqual([])
  },
)

test('mount targets that are links lead to places inside, never to the host', async () => {
  const host = temporaryDirectory()
  const source = join(temporaryDirectory(), 'source')
  writeFileSync(source, 'mounted\n')
  const { stdout } = await runScript(
    'for f in /etc/resolv.conf /etc/hosts /up/x /abs/y; do cat $f; done; ls -l /etc/resolv.conf | cut -c1',
    {
      image: (directory) => {
        mkdirSync(join(directory, 'etc'))
        mkdirSync(join(directory, 'run'))
        // to nowhere, as systemd images have it
        symlinkSync(
          '../run/systemd/resolve/stub-resolv.conf',
          join(directory, 'etc', 'resolv.conf'),
        )
        // to the host, if it were followed there
        symlinkSync(join(host, 'hosts'), join(directory, 'etc', 'hosts'))
        symlinkSync('../../../../../../run', join(directory, 'up'))
        symlinkSync('/run', join(directory, 'abs'))
      },
      mounts: ['/etc/resolv.conf', '/etc/hosts', '/up/x', '/abs/y'].map((destination) => ({
        type: 'bind' as const,
        source,
        destination,
      })),
    },
  )
  expect(stdout).toBe(`${'mounted\n'.repeat(4)}-\n`)
  expect(readdirSync(host)).toEqual([])
  expect(existsSync('/run/x')).toBe(false)
})

test('a mount target below /dev, /proc or /sys must not lead through a link either', async () => {
  const started = runScript('true', {
    mounts: [{ type: 'tmpfs', destination: '/dev/fd/3' }],
  })
  await expect(started).rejects.toMatchObject({ step: 'mnt', errno: 40 })
})

test('the source of a bind that is missing is told', async () => {
  const started = runScript('true', {
    mounts: [{ type: 'bind', source: '/no/such/thing', destination: '/x' }],
  })
  await expect(started).rejects.toMatchObject({
    step: 'mnt',
    errno: 2,
    path: '/x',
    message: expect.stringContaining('/no/such/thing'),
  })
})
