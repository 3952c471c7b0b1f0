import { mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { beforeEach, expect, test } from 'vitest'
import type { ContainedProcess } from './contained-process.ts'
import { containerSpec, runSpec } from './container.test.fixture.ts'
import { launch } from './launch.ts'
import type { LaunchSpec, NamespaceType } from './launch-spec.ts'

const NAMES = {
  user: 'user',
  mount: 'mnt',
  pid: 'pid',
  network: 'net',
  ipc: 'ipc',
  uts: 'uts',
  cgroup: 'cgroup',
  time: 'time',
} as const

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

/** A container that stays, and the paths of its namespaces. */
async function target(): Promise<[ContainedProcess, Record<NamespaceType, string>]> {
  const spec = containerSpec(['sleep', '1000'], { hostname: 'target' })
  const running = await launch(
    { ...spec, namespaces: [...spec.namespaces, 'time'] },
    { stdio: ['ignore', 'ignore', 'ignore'] },
  )
  // not those of PID 1, which shows nothing of itself
  const children = readFileSync(`/proc/${running.pid}/task/${running.pid}/children`, 'latin1')
  const path = (name: string) => `/proc/${children.trim()}/ns/${name}`
  // the keys of NAMES
  const paths = Object.fromEntries(
    Object.entries(NAMES).map(([type, name]) => [type, path(name)]),
  ) as Record<NamespaceType, string>
  return [running, paths]
}

/** A program in joined namespaces, and in nothing that it makes itself. */
function joiner(script: string, joinNamespaces: LaunchSpec['joinNamespaces']): LaunchSpec {
  const { process } = containerSpec(['/bin/sh', '-c', script])
  return {
    namespaces: [],
    joinNamespaces: joinNamespaces ?? {},
    mounts: [],
    maskedPaths: [],
    readonlyPaths: [],
    process,
  }
}

test('every type of namespace can be joined, and all of them together', async () => {
  const [running, paths] = await target()
  try {
    const all = joiner('hostname; readlink /proc/self/ns/*; ls /proc | grep -c "^[0-9]"', paths)
    const { stdout, stderr } = await runSpec(all)
    expect(stderr).toBe('')
    const [name, ...lines] = stdout.trim().split('\n')
    expect(name).toBe('target')
    const links = new Map(lines.slice(0, -1).map((line) => line.split(':') as [string, string]))
    for (const [type, path] of Object.entries(paths)) {
      const [kind = '', inode] = readlinkSync(path).split(':')
      expect([type, links.get(kind)]).toEqual([type, inode])
    }
    // PID 1, its payload, the shell, ls and grep; our own init, too
    expect(Number(lines.at(-1))).toBeLessThan(9)
    // with the user namespace that owns it, each alone; in the target's mounts /proc has no self
    for (const [type, path] of Object.entries(paths)) {
      const script = type === 'mount' ? `ls ${import.meta.dirname}` : 'readlink /proc/self/ns/*'
      const { stdout } = await runSpec(joiner(script, { user: paths.user, [type]: path }))
      if (type === 'mount') expect(stdout).toBe('')
      else expect(stdout, type).toContain(readlinkSync(path).split(':')[1])
    }
  } finally {
    running.kill('SIGKILL')
    await running.wait()
  }
})

test('new namespaces are made below joined ones, and belong to the joined user namespace', async () => {
  const [running, { user, network }] = await target()
  try {
    const spec = { ...containerSpec(['/bin/sh', '-c', 'hostname; readlink /proc/self/ns/net']) }
    const { idMapping: _, ...others } = spec
    const namespaces = spec.namespaces.filter((type) => type !== 'user' && type !== 'network')
    // a fresh sysfs wants the network namespace to be its own
    const mounts = spec.mounts.filter(({ type }) => type !== 'sysfs')
    const joined = { ...others, namespaces, mounts, joinNamespaces: { user, network } }
    expect((await runSpec(joined)).stdout).toBe(`box\n${readlinkSync(network)}\n`)
  } finally {
    running.kill('SIGKILL')
    await running.wait()
  }
})

test('what leads to no namespace, to one of another type, or to one of another owner is an error', async () => {
  const uts = '/proc/self/ns/uts'
  const refused = (joins: LaunchSpec['joinNamespaces']) => runSpec(joiner('true', joins))
  await expect(refused({ network: '/proc/0/ns/net' })).rejects.toMatchObject({
    code: 'ERR_NS_SETUP',
    step: 'ns.join',
    errno: 2,
    path: '/proc/0/ns/net',
    hint: expect.stringContaining('must be running'),
  })
  await expect(refused({ network: uts })).rejects.toMatchObject({ step: 'ns.join', errno: 22 })
  await expect(refused({ network: '/proc/self/stat' })).rejects.toMatchObject({
    step: 'ns.join',
    errno: 25,
    hint: expect.stringContaining('must be a namespace of that type'),
  })
  await expect(refused({ user: '/proc/self/ns/user' })).rejects.toMatchObject({
    step: 'ns.join',
    errno: 22,
    syscall: 'setns',
  })
})

test('a namespace cannot be joined without power over it', async (context) => {
  requires(context, 'plain-user', process.getuid?.() !== 0, 'root has power over all')
  const started = runSpec(joiner('true', { network: '/proc/self/ns/net' }))
  await expect(started).rejects.toMatchObject({
    step: 'ns.join',
    errno: 1,
    hint: expect.stringContaining('join the user namespace'),
  })
})

test('directories to remove are removed with the ids of a joined user namespace', async () => {
  const garbage = mkdtempSync(join(tmpdir(), 'cromwell-joined-'))
  const [running, { user }] = await target()
  try {
    const spec = { ...joiner('true', { user }), monitor: { removeOnExit: [garbage] } }
    await runSpec(spec)
    expect(() => readlinkSync(garbage)).toThrow('ENOENT')
  } finally {
    rmSync(garbage, { recursive: true, force: true })
    running.kill('SIGKILL')
    await running.wait()
  }
})
