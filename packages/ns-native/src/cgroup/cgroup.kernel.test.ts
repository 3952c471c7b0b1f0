import { existsSync, readdirSync, readFileSync, rmdirSync } from 'node:fs'
import { join as joinPath } from 'node:path'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { beforeEach, expect, onTestFinished, type TestContext, test } from 'vitest'
import { collect, containerSpec, eventually, isAlive, runSpec } from '../container.test.fixture.ts'
import { join } from '../join.ts'
import { launch } from '../launch.ts'
import type { LaunchSpec } from '../launch-spec.ts'
import { cgroup } from './cgroup.ts'
import { currentFacts } from './facts.ts'
import { isOurs } from './group-files.ts'
import { parseGroups } from './layout.ts'

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

/** The version 2 group that groups can be made in here, be it without controllers. */
function ownGroup(context: TestContext): string {
  const own = currentFacts().layout.v2?.own
  const usable = own !== undefined && isOurs(own, 2)
  requires(context, 'cgroup2', usable, 'no version 2 group is this user’s to write to')
  return own ?? ''
}

function needsGroups(context: TestContext): void {
  const { by } = cgroup.detect()
  requires(context, 'cgroup', by !== undefined, 'no control group is this user’s to write to')
}

const silent = { stdio: ['ignore', 'ignore', 'ignore'] } as const
const withGroup = (args: string[], more: Partial<LaunchSpec> = {}) => ({
  ...containerSpec(args),
  cgroup: {},
  ...more,
})

/** Groups of this process's launches, in all hierarchies. */
function groups(prefix = `cromwell-${process.pid}-`): string[] {
  const { v1, v2 } = currentFacts().layout
  const parents = new Set([...v1.values(), ...(v2 === undefined ? [] : [v2])].map(({ own }) => own))
  return [...parents].flatMap((parent) =>
    readdirSync(parent)
      .filter((name) => name.startsWith(prefix))
      .map((name) => joinPath(parent, name)),
  )
}

/** The groups of a launch of this process's that a process is in, also those in a scope of systemd's. */
function groupsOf(pid: number): string[] {
  const { layout } = currentFacts()
  const groups = parseGroups(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))
  const hierarchies = new Map([...layout.v1, ['', layout.v2]])
  return [...hierarchies].flatMap(([name, hierarchy]) => {
    const path = groups.get(name) ?? ''
    const ours = path.includes(`/cromwell-${process.pid}-`)
    return ours && hierarchy !== undefined ? [joinPath(hierarchy.mountPoint, path)] : []
  })
}

test('a group is made, filled, measured, frozen, killed and removed', async (context) => {
  const parent = cgroup.open(ownGroup(context))
  const group = parent.create(`test-${process.pid}`)
  onTestFinished(() => group.remove())
  expect(group.stats()).toMatchObject({ populated: false, frozen: false })
  const child = await launch(containerSpec(['sleep', '1000']), silent)
  group.add(child.pid)
  expect(group.pids()).toEqual([child.pid])
  await group.freeze()
  expect(group.stats()).toMatchObject({ populated: true, frozen: true })
  await group.thaw()
  expect(group.stats().frozen).toBe(false)
  group.create('below')
  await group.remove()
  expect(existsSync(group.path)).toBe(false)
  expect(await child.wait()).toMatchObject({ signal: 'SIGKILL' })
})

test('what is no group, and what is no name of one, is refused', (context) => {
  expect(() => cgroup.open('/tmp')).toThrow('no control group')
  const parent = cgroup.open(ownGroup(context))
  for (const name of ['', '..', 'a/b', '.x'])
    expect(() => parent.create(name)).toThrow('not a name')
  expect(() => parent.create(`x-${process.pid}`, { memoryBytes: 1 })).toThrow()
  expect(existsSync(joinPath(parent.path, `x-${process.pid}`))).toBe(false)
})

test('a container is in its group from birth, and the group is gone after it', async (context) => {
  needsGroups(context)
  const child = await launch(withGroup(['sleep', '1000']), silent)
  const made = groupsOf(child.pid)
  expect(made.length).toBeGreaterThan(0)
  const monitor = readFileSync(`/proc/${child.monitorPid}/cgroup`, 'utf8')
  expect(monitor).not.toContain(`cromwell-${process.pid}-`)
  child.kill('SIGKILL')
  await child.wait()
  expect(made.filter((group) => existsSync(group))).toEqual([])
})

test('a program that joins may have limits of time and output, not of the container’s', async () => {
  const spec = containerSpec(['sleep', '1000'])
  const child = await launch(spec, silent)
  const joined = await join(child, { process: spec.process, limits: { wallMs: 100 } }, silent)
  expect(await joined.wait()).toMatchObject({ reason: 'wall', limits: { wall: { limit: 100 } } })
  // what a caller without types may write
  const limits = { pids: 3 } as object as { wallMs: number }
  await expect(join(child, { process: spec.process, limits }, silent)).rejects.toMatchObject({
    pointer: '/limits/pids',
  })
  child.kill('SIGKILL')
  await child.wait()
})

test('inside, the group is the top one', async (context) => {
  needsGroups(context)
  const { stdout } = await runSpec(withGroup(['cat', '/proc/self/cgroup']))
  expect(stdout).not.toContain('cromwell-')
})

test('a launch that fails leaves no group', async (context) => {
  needsGroups(context)
  const missing = withGroup(['/nonexistent'])
  await expect(launch(missing, silent)).rejects.toMatchObject({ code: 'ERR_NS_EXEC' })
  expect(groups()).toEqual([])
})

test('when the monitor is killed, the group of the container goes all the same', async (context) => {
  needsGroups(context)
  const child = await launch(withGroup(['sleep', '1000']), silent)
  process.kill(child.monitorPid, 'SIGKILL')
  await expect(child.wait()).rejects.toMatchObject({ code: 'ERR_NS_MONITOR_LOST' })
  await eventually(() => groups().length === 0)
})

test('what a process that is no more left behind goes with the next launch', async (context) => {
  const parent = cgroup.open(ownGroup(context))
  const dead = 4_194_304 // above every pid there can be
  const left = parent.create(`cromwell-${dead}-0a0a0a0a`)
  left.create('box')
  const alive = parent.create(`cromwell-${process.ppid}-0b0b0b0b`)
  onTestFinished(() => rmdirSync(alive.path))
  await runSpec(withGroup(['true'], { cgroup: { parent: parent.path } }))
  expect(existsSync(left.path)).toBe(false)
  expect(existsSync(alive.path)).toBe(true)
})

test('pause stops everything inside, resume lets it go on, and SIGKILL ends it meanwhile', async (context) => {
  needsGroups(context)
  const script = 'while :; do echo tick; sleep 0.02; done'
  const spec = withGroup(['/bin/sh', '-c', script])
  const child = await launch(spec, { stdio: ['ignore', 'pipe', 'ignore'] })
  let ticks = 0
  child.stdout?.on('data', () => {
    ticks++
  })
  await eventually(() => ticks > 2)
  await child.pause()
  await new Promise((resolve) => setTimeout(resolve, 50)) // what was on its way
  const before = ticks
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(ticks).toBe(before)
  await child.resume()
  await eventually(() => ticks > before)
  await child.pause()
  child.kill('SIGKILL')
  expect(await child.wait()).toMatchObject({ signal: 'SIGKILL', reason: 'signal' })
  await expect(child.pause()).rejects.toThrow('has ended')
})

test('the kill of the group reaches who would have outlived the program', async (context) => {
  ownGroup(context)
  // without a pid namespace nothing else ends a session of its own
  const base = withGroup(['/bin/sh', '-c', 'setsid sleep 1000 & echo $!; sleep 0.1'])
  const mounts = base.mounts.filter(({ type }) => type !== 'proc')
  const namespaces = base.namespaces.filter((type) => type !== 'pid')
  const child = await launch(
    { ...base, mounts, namespaces },
    { stdio: ['ignore', 'pipe', 'ignore'] },
  )
  const pid = Number(await collect(child.stdout))
  await child.wait()
  await eventually(() => !isAlive(pid))
})

test('a name of a group in which somebody lives is refused, and that of an empty one taken over', async (context) => {
  const parent = ownGroup(context)
  const taken = cgroup.open(parent).create(`taken-${process.pid}`)
  onTestFinished(() => taken.remove())
  const child = await launch(containerSpec(['sleep', '1000']), silent)
  taken.add(child.pid)
  const spec = withGroup(['true'], { cgroup: { parent, name: `taken-${process.pid}` } })
  await expect(launch(spec, silent)).rejects.toMatchObject({
    code: 'ERR_NS_SPEC',
    pointer: '/cgroup/name',
  })
  expect(taken.pids()).toEqual([child.pid])
  taken.kill()
  await child.wait()
  expect(await runSpec(spec)).toMatchObject({ exitCode: 0 })
})

test('a parent that is not this user’s is an error that says what to do', async () => {
  const spec = { ...containerSpec(['true']), cgroup: { parent: '/sys/fs/cgroup/nonexistent' } }
  await expect(launch(spec, silent)).rejects.toMatchObject({
    code: 'ERR_NS_SPEC',
    pointer: '/cgroup/parent',
    hint: expect.stringContaining('Delegate=yes'),
  })
})

test('a limit that nothing here holds is an error, unless it may be', async (context) => {
  const { controllers } = cgroup.detect()
  requires(context, 'no-io-controller', !controllers.includes('io'), 'transfer can be limited here')
  const limits = { io: [{ device: '8:0', readBytes: 1_000_000 }] }
  const spec = { ...containerSpec(['true']), limits }
  await expect(launch(spec, silent)).rejects.toMatchObject({
    code: 'ERR_NS_UNSUPPORTED',
    missing: ['io'],
    pointer: '/limits/io',
  })
  const result = await runSpec({ ...spec, allowDegraded: ['io'] })
  expect(result.limits.io).toMatchObject({ enforcedBy: null, degraded: true })
})
