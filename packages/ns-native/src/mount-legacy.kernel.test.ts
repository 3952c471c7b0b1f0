import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { canCreateUserNamespace, requires, requiresProgram } from '@cromwell/test-support'
import { beforeEach, expect, test } from 'vitest'
import { findHelper } from './binding.ts'
import {
  containerSpec,
  nodeProgram,
  type Outcome,
  runSpec,
  singleId,
  temporaryDirectory,
} from './container.test.fixture.ts'
import { CAPABILITIES } from './defaults.ts'
import { hostSystemMounts } from './host-system.ts'
import type { LaunchSpec, Mount } from './launch-spec.ts'
import { asJson, INNER_IDS, oddHost } from './odd-host.test.fixture.ts'

// The same containers on a kernel without the new mount calls, or in a sandbox that answers
// EPERM to them.

let strace: string

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
  strace = requiresProgram(context, 'strace')
})

/** The helper where these calls fail, always. */
function helperWithout(...faults: readonly string[]): string {
  const path = join(temporaryDirectory(), 'helper')
  const injections = faults.map((fault) => `-e inject=${fault}`).join(' ')
  const names = faults.map((fault) => fault.split(':')[0]).join(',')
  const options = `-qq -f -o /dev/null -e trace=${names} ${injections}`
  writeFileSync(path, `#!/bin/sh\nexec ${strace} ${options} ${findHelper()}\n`)
  chmodSync(path, 0o755)
  return path
}

// The last is what Linux before 6.15 says to cloning a mount that is attached nowhere.
const NO_FSOPEN = 'fsopen:error=ENOSYS'
const NO_DETACHED_CLONE = 'open_tree:error=EINVAL:when=1'
const WITHOUT = [NO_FSOPEN, 'mount_setattr:error=EPERM', NO_DETACHED_CLONE]

/** What it prints as it is, and what it prints without something. */
async function runBothWays(spec: LaunchSpec, fault: string): Promise<[Outcome, Outcome]> {
  const single = { ...spec, idMapping: singleId }
  return [await runSpec(single), await runSpec(single, { helperPath: helperWithout(fault) })]
}

/** mountinfo without what differs from one mount to the next: ids, devices made on the spot, layers. */
function comparable(mountinfo: string): string[] {
  return mountinfo
    .split('\n')
    .filter((line) => / - /.test(line))
    .map((line) => {
      const [head = '', tail = ''] = line.split(' - ')
      const [, , , root = '', point, flags] = head.split(' ')
      const [type = '', , options = ''] = tail.split(' ')
      const staged = root.replace(/^\/cw\.\d+$/, '/cw')
      return `${point} ${staged} ${flags} ${type} ${['tmpfs', 'overlay'].includes(type) ? '' : options}`
    })
    .sort()
}

const LOOK = `cat /proc/self/mountinfo; for f in /dev/* /etc/* /data/*; do stat -c '%n %F %a %u %g' $f; done
  touch /data/x /usr/x /file 2>&1; cat /file; ls -A / /secret /dev/pts; cd /..; pwd; ls -A`

test.each(WITHOUT)('with %s a container looks the same inside', async (fault) => {
  const host = temporaryDirectory()
  mkdirSync(join(host, 'sub'))
  const changes = {
    image: (image: string) => {
      mkdirSync(join(image, 'secret'))
      writeFileSync(join(image, 'secret', 'key'), '')
    },
    mounts: [
      { type: 'bind', source: host, destination: '/data', readonly: true, nosuid: true },
      { type: 'bind', source: host, destination: '/alone', recursive: false, noexec: true },
      { type: 'tmpfs', destination: '/t', mode: 0o711, sizeBytes: 1 << 20, noexec: true },
      { type: 'file', destination: '/file', content: 'content' },
      { type: 'mqueue', destination: '/mq', readonly: true },
    ] satisfies Mount[],
  }
  const spec = containerSpec(['/bin/sh', '-c', LOOK], changes)
  const hidden = { ...spec, maskedPaths: [...spec.maskedPaths, '/secret'] }
  const [modern, legacy] = await runBothWays(hidden, fault)
  expect(comparable(modern.stdout).length).toBeGreaterThan(20)
  expect(comparable(legacy.stdout)).toEqual(comparable(modern.stdout))
  const rest = ({ stdout }: Outcome) => stdout.split('\n').filter((line) => !line.includes(' - '))
  expect(rest(legacy)).toEqual(rest(modern))
  expect(rest(legacy).join('\n')).toContain('Read-only file system\ncontent')
  expect(readdirSync(host)).toEqual(['sub'])
})

test('a tmpfs root, a plain directory and the caller’s root are the same without the new calls', async () => {
  const base = containerSpec([
    '/bin/sh',
    '-c',
    'cat /proc/self/mountinfo; cd /..; ls -A; cat /etc/f',
  ])
  const proc: Mount = { type: 'proc', destination: '/proc' }
  const file: Mount = { type: 'file', destination: '/etc/f', content: 'f' }
  const directory = temporaryDirectory()
  const system = hostSystemMounts()
  const tmpfs = { ...base, root: { tmpfs: {} }, mounts: [...system, proc, file] }
  for (const [spec, fault] of [
    [tmpfs, NO_FSOPEN],
    [tmpfs, NO_DETACHED_CLONE],
    [{ ...tmpfs, root: { tmpfs: {}, readonly: true } }, NO_FSOPEN],
    [{ ...base, root: { path: directory }, mounts: [...system, proc] }, NO_FSOPEN],
  ] as const) {
    const [modern, legacy] = await runBothWays(spec, fault)
    expect(modern.exitCode).toBe(legacy.exitCode)
    expect(comparable(legacy.stdout)).toEqual(comparable(modern.stdout))
    const points = comparable(legacy.stdout).map((line) => line.split(' ')[0])
    expect(points.filter((point) => point === '/')).toHaveLength(1)
  }
})

test.each([NO_FSOPEN, NO_DETACHED_CLONE])(
  'the caller’s own root is left as it was, stage and all, with %s',
  async (fault) => {
    const { root: _, ...base } = containerSpec(['/bin/cat', '/proc/self/mountinfo', '/tmp/f'])
    const mounts: Mount[] = [
      { type: 'tmpfs', destination: '/tmp' },
      { type: 'proc', destination: '/proc' },
      { type: 'file', destination: '/tmp/f', content: 'from memory' },
    ]
    const spec = { ...base, mounts, maskedPaths: [], readonlyPaths: [] }
    const [modern, legacy] = await runBothWays(spec, fault)
    expect(modern.stdout).toMatch(/from memory$/)
    expect(legacy.stdout).toMatch(/from memory$/)
    expect(comparable(legacy.stdout)).toEqual(comparable(modern.stdout))
  },
)

test.each(['with', 'without'])(
  'a bind is read-only whatever is mounted below it, and takes off no flag the host set: %s the new calls',
  async (calls) => {
    const host = temporaryDirectory()
    const names = ['plain', 'with space', 'back\\slash', 'new\nline', 'deep/er', 'locked']
    for (const name of [...names, 'outer']) mkdirSync(join(host, name), { recursive: true })
    const script = `cd /ro; for d in * deep/er; do touch "$d/x" 2>&1 | grep -c 'Read-only'; done
      touch /rw/plain/x && echo written; touch /rw/locked/x || echo locked
      grep -E ' /(ro|rw|flags)' /proc/self/mountinfo | grep -F locked | cut -d' ' -f5,6; mount -o remount,bind,rw /rw/locked || echo refused`
    const spec = containerSpec(['/bin/sh', '-c', script], {
      mounts: [
        { type: 'bind', source: host, destination: '/ro', readonly: true },
        { type: 'bind', source: host, destination: '/rw' },
        { type: 'bind', source: join(host, 'locked'), destination: '/flags/locked', noexec: true },
      ],
      process: { capabilities: Object.keys(CAPABILITIES) },
    })
    const source = `
      const { launch } = await import('@cromwell/ns-native')
      const [spec, helperPath] = process.argv.slice(1)
      const options = { stdio: ['ignore', 1, 2], ...(helperPath ? { helperPath } : {}) }
      const child = await launch(JSON.parse(spec), options)
      process.exitCode = (await child.wait()).exitCode`
    const helper = calls === 'with' ? [] : [helperWithout('mount_setattr:error=ENOSYS')]
    const node = nodeProgram(source, asJson({ ...spec, idMapping: INNER_IDS }), ...helper)
    const mounts = names.map((name): Mount => {
      const destination = join(host, name)
      const locked = name === 'locked' ? { readonly: true, nosuid: true, nodev: true } : {}
      return { type: 'tmpfs', destination, ...locked }
    })
    const { stdout, stderr } = await runSpec(oddHost([process.execPath, ...node], mounts))
    expect(stdout.split('\n')).toEqual([
      ...Array(8).fill('1'), // seven names and the one that is deeper
      'written',
      'locked',
      expect.stringMatching(/^\/ro\/locked ro,nosuid,nodev,/),
      expect.stringMatching(/^\/rw\/locked ro,nosuid,nodev,/),
      expect.stringMatching(/^\/flags\/locked ro,nosuid,nodev,noexec,/),
      'refused',
      '',
    ])
    expect(stderr).not.toContain('NamespaceError')
  },
)

test('a kernel without openat2 is told as such, nothing is walked without it', async () => {
  const launched = runSpec(
    { ...containerSpec(['true']), idMapping: singleId },
    { helperPath: helperWithout('openat2:error=ENOSYS') },
  )
  await expect(launched).rejects.toMatchObject({
    code: 'ERR_NS_SETUP',
    errno: 38,
    hint: expect.stringContaining('Linux 5.11'),
  })
})
