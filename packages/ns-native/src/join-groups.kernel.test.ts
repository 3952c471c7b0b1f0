import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join as joinPath } from 'node:path'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { containerSpec, eventually } from './container.test.fixture.ts'
import { join } from './join.ts'
import { launch } from './launch.ts'

const TOPS = ['/sys/fs/cgroup/pids', '/sys/fs/cgroup/unified', '/sys/fs/cgroup']
const tops = TOPS.filter((top) => existsSync(joinPath(top, 'cgroup.procs')))

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
  requires(context, 'root', process.getuid?.() === 0, 'makes control groups by hand')
  requires(context, 'cgroups', tops.length > 0, 'there is no hierarchy of control groups')
})

const silent = { stdio: ['ignore', 'ignore', 'ignore'] } as const

function makeGroup(top: string): string {
  const path = joinPath(top, `cromwell-join-${process.pid}`)
  mkdirSync(path)
  return path
}

function removed(path: string): boolean {
  try {
    rmdirSync(path)
  } catch {
    return false // something in it is still ending
  }
  return true
}

function groupsOf(pid: number): string {
  return readFileSync(`/proc/${pid}/cgroup`, 'latin1')
}

/** A container in groups of its own, of every hierarchy that there is. */
async function startContainer() {
  const container = await launch(containerSpec(['sleep', '1000']), silent)
  const paths = tops.map(makeGroup)
  onTestFinished(async () => {
    container.kill('SIGKILL')
    await container.wait()
    for (const path of paths) await eventually(() => removed(path))
  })
  const children = `/proc/${container.pid}/task/${container.pid}/children`
  const pids = [container.pid, ...readFileSync(children, 'latin1').trim().split(' ')]
  for (const path of paths) {
    for (const pid of pids) writeFileSync(joinPath(path, 'cgroup.procs'), String(pid))
  }
  return { container, paths }
}

test('what joins a container is in its control groups, its monitor is not', async () => {
  const { container } = await startContainer()
  const before = groupsOf(process.pid)
  const process_ = { ...containerSpec([]).process, args: ['sleep', '1000'] }
  const child = await join(container, { process: process_ }, silent)
  expect(groupsOf(child.pid)).toBe(groupsOf(container.pid))
  expect(groupsOf(child.pid)).toContain('cromwell-join-')
  expect(groupsOf(child.monitorPid)).toBe(before)
  child.kill('SIGKILL')
  await child.wait()
})

test('a container that is full cannot be joined, and says so', async (context) => {
  const top = '/sys/fs/cgroup/pids'
  requires(context, 'cgroup-v1', tops.includes(top), 'needs the pids controller of version 1')
  const { container, paths } = await startContainer()
  writeFileSync(joinPath(paths[tops.indexOf(top)] ?? '', 'pids.max'), '2')
  const process_ = { ...containerSpec([]).process, args: ['true'] }
  const joined = join(container, { process: process_ }, silent)
  await expect(joined).rejects.toMatchObject({ code: 'ERR_NS_SETUP', errno: 11 })
  expect(readdirSync('/proc')).toContain(String(container.pid))
})
