import { readlinkSync } from 'node:fs'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { beforeEach, expect, test } from 'vitest'
import {
  ALLOW_ALL,
  containerSpec,
  idMapping,
  runScript,
  runSpec,
  singleId,
} from './container.test.fixture.ts'
import { CAPABILITIES, DEFAULT_CAPABILITIES } from './defaults.ts'

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

test('every namespace is new', async () => {
  const names = ['user', 'mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup']
  const { stdout } = await runScript(
    'for n in user mnt pid net ipc uts cgroup; do readlink /proc/self/ns/$n; done',
  )
  const inside = stdout.trim().split('\n')
  expect(inside).toHaveLength(names.length)
  names.forEach((name, index) => {
    expect(inside[index]).toMatch(/\[\d+\]$/)
    expect(inside[index]).not.toBe(readlinkSync(`/proc/self/ns/${name}`))
  })
})

test('a namespace that is not asked for stays the caller’s', async () => {
  const spec = containerSpec(
    ['/bin/sh', '-c', 'readlink /proc/self/ns/net; readlink /proc/self/ns/uts'],
    {
      namespaces: ['user', 'mount', 'pid'],
    },
  )
  const { hostname: _, ...others } = spec
  const mounts = spec.mounts.filter(({ type }) => type !== 'sysfs')
  const { stdout } = await runSpec({ ...others, mounts })
  expect(stdout).toBe(
    `${readlinkSync('/proc/self/ns/net')}\n${readlinkSync('/proc/self/ns/uts')}\n`,
  )
})

test('the id maps are those of the plan', async () => {
  const { stdout } = await runScript('cat /proc/self/uid_map; echo; cat /proc/self/gid_map')
  const lines = (text: string) =>
    text
      .trim()
      .split('\n')
      .map((line) => line.trim().split(/\s+/).map(Number))
  const [uids = '', gids = ''] = stdout.split('\n\n')
  const wanted = (map: typeof idMapping.uidMappings) =>
    map.map(({ containerID, hostID, size }) => [containerID, hostID, size])
  expect(lines(uids)).toEqual(wanted(idMapping.uidMappings))
  expect(lines(gids)).toEqual(wanted(idMapping.gidMappings))
})

test('with one id setgroups is denied for good', async () => {
  const { stdout } = await runScript('cat /proc/self/setgroups; id -u; id -g', {
    idMapping: singleId,
  })
  expect(stdout).toBe('deny\n0\n0\n')
})

test('with a range of ids supplementary groups are dropped, and may be set', async (context) => {
  requires(context, 'subuid', idMapping.kind !== 'single', 'this user has one id only')
  expect((await runScript('id -G')).stdout).toBe('0\n')
  const { stdout } = await runScript('id -u; id -G', {
    process: { uid: 1000, gid: 1001, additionalGids: [7, 8] },
  })
  expect(stdout).toBe('1000\n1001 7 8\n')
})

test('the hostname is the container’s own', async () => {
  expect((await runScript('cat /proc/sys/kernel/hostname')).stdout).toBe('box\n')
})

test('a new network namespace has nothing but its loopback interface, which is up', async () => {
  const { stdout } = await runScript(
    'cat /proc/net/dev | tail -n +3; cat /proc/net/fib_trie | grep -c 127.0.0.1',
  )
  expect(stdout.trim().split('\n')).toHaveLength(2)
  expect(stdout).toMatch(/^\s*lo:/)
  expect(stdout).toMatch(/[1-9]\n$/)
})

test('PID 1 is the helper: without environment, and closed to the container’s root', async () => {
  const probes = ['exe', 'root', 'cwd'].map((name) => `readlink /proc/1/${name} && echo LEAK`)
  const reads = ['environ', 'maps', 'mem', 'auxv', 'stack', 'syscall'].map(
    (name) => `cat /proc/1/${name} && echo LEAK`,
  )
  // The names of its descriptors are root's to list where root keeps its own id; nothing more.
  const links = 'for fd in /proc/1/fd/*; do readlink $fd && echo LEAK; done'
  for (const capabilities of [DEFAULT_CAPABILITIES, Object.keys(CAPABILITIES)]) {
    const { stdout, stderr } = await runScript(
      `cat /proc/1/comm; ${[...probes, ...reads, links].join('; ')}; cat /proc/1/exe >/dev/null && echo LEAK; echo end`,
      { process: { capabilities, seccomp: ALLOW_ALL } },
    )
    expect(stdout).toBe('cromwell-init\nend\n')
    expect(
      stderr.match(/Permission denied|Operation not permitted/g)?.length,
    ).toBeGreaterThanOrEqual(7)
  }
})
