import { chmodSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { beforeEach, expect, test } from 'vitest'
import {
  ALLOW_ALL,
  containerSpec,
  idMapping,
  runScript,
  runSpec,
  singleId,
  temporaryDirectory,
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

// A stand-in that says how it was called, and does the same by calling the real one.
test('newuidmap and newgidmap get the numbers of the plan, an empty environment, and no descriptor of ours', async (context) => {
  requires(context, 'plain-user', idMapping.kind !== 'identity', 'root needs no such program')
  requires(context, 'subuid', idMapping.kind === 'subid', 'this user has no subordinate ids')
  const directory = temporaryDirectory()
  const standIn = (name: 'newuidmap' | 'newgidmap') => {
    const path = join(directory, name)
    // a shell that starts a program blocks signals meanwhile: so it reads by itself
    const read = 'while IFS= read -r line; do echo "$line"; done < /proc/$$/status'
    const look = `tr '\\0' '\\n' < /proc/$$/environ; ${read}`
    // what is built into the shell opens nothing; it holds its script and its old stdout at 10 and 11
    const fds = 'for i in 0 1 2 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$i ] && printf "$i "; done; echo'
    const script = `#!/bin/sh\n{ echo "$@"; ${fds}; ${look}; } > ${path}.said\nexec ${idMapping[name]} "$@"\n`
    writeFileSync(path, script)
    chmodSync(path, 0o755)
    return path
  }
  const [newuidmap, newgidmap] = [standIn('newuidmap'), standIn('newgidmap')]
  const mapping = { ...idMapping, newuidmap, newgidmap }
  const spec = containerSpec(['true'])
  expect(await runSpec({ ...spec, idMapping: mapping })).toMatchObject({ exitCode: 0 })
  for (const [path, map] of [
    [newuidmap, idMapping.uidMappings],
    [newgidmap, idMapping.gidMappings],
  ] as const) {
    const [args = '', fds, ...status] = readFileSync(`${path}.said`, 'utf8').split('\n')
    const numbers = map.flatMap(({ containerID, hostID, size }) => [containerID, hostID, size])
    expect(args.split(' ').slice(1)).toEqual(numbers.map(String))
    expect(fds).toBe('0 1 2 ')
    expect(status[0]).toMatch(/^Name:/) // nothing of an environment before it
    expect(status.filter((line) => /^Sig(Blk|Ign):/.test(line))).toEqual([
      'SigBlk:\t0000000000000000',
      'SigIgn:\t0000000000000000',
    ])
  }
})
