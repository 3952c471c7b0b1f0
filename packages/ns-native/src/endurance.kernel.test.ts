import { readdirSync, readFileSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { beforeEach, expect, test } from 'vitest'
import { containerSpec, eventually } from './container.test.fixture.ts'
import { join } from './join.ts'
import { launch } from './launch.ts'
import type { LaunchSpec } from './launch-spec.ts'

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')
const LANES = 8
const MEGABYTE = 1 << 20
const silent = { stdio: ['ignore', 'ignore', 'ignore'] } as const

/** What a launch could leave behind in this process and on this machine. */
function count() {
  const threads = readdirSync('/proc/self/task')
  return {
    descriptors: readdirSync('/proc/self/fd').length,
    mounts: readFileSync('/proc/self/mountinfo', 'latin1').split('\n').length,
    children: threads
      .map((thread) => readFileSync(`/proc/self/task/${thread}/children`, 'latin1'))
      .join('')
      .split(' ')
      .filter(Boolean).length,
  }
}

/** The same once the monitors of what has ended, which are the last to end, are gone. */
async function settled(children: number) {
  await eventually(() => count().children === children)
  return count()
}

function memory() {
  collectGarbage()
  collectGarbage()
  const { heapUsed, external, rss } = process.memoryUsage()
  return { heapUsed, external, rss }
}

/** `total` runs of something, several at a time, each lane with a spec of its own. */
async function repeat(total: number, run: (spec: LaunchSpec, index: number) => Promise<void>) {
  const lanes = Array.from({ length: LANES }, () => containerSpec(['/bin/true']))
  await Promise.all(
    lanes.map(async (spec, lane) => {
      for (let index = lane; index < total; index += LANES) await run(spec, index)
    }),
  )
}

async function runOnce(spec: LaunchSpec, index: number): Promise<void> {
  const piped = index % 4 === 0
  const child = await launch(spec, piped ? { stdio: ['pipe', 'pipe', 'pipe'] } : silent)
  child.stdin?.destroy()
  child.stdout?.resume()
  child.stderr?.resume()
  expect(await child.wait()).toMatchObject({ exitCode: 0 })
}

test('a thousand launches leave descriptors, mounts, processes and memory as they were', async () => {
  await repeat(200, runOnce)
  const [before, memoryBefore] = [await settled(0), memory()]
  await repeat(1000, runOnce)
  expect(await settled(before.children)).toEqual(before)
  const after = memory()
  expect(after.heapUsed - memoryBefore.heapUsed).toBeLessThan(2 * MEGABYTE)
  expect(after.external - memoryBefore.external).toBeLessThan(2 * MEGABYTE)
  expect(after.rss - memoryBefore.rss).toBeLessThan(24 * MEGABYTE)
})

test('nor do two hundred that are aborted at any moment', async () => {
  await runOnce(containerSpec(['/bin/true']), 0)
  const before = await settled(0)
  const outcomes = new Map<string, number>()
  await repeat(200, async (spec) => {
    const controller = new AbortController()
    const options = { ...silent, signal: controller.signal }
    setTimeout(() => controller.abort(), Math.random() * 12)
    const program = { ...spec.process, args: ['/bin/sleep', '1000'] }
    const status = await launch({ ...spec, process: program }, options).then(
      (child) => child.wait(),
      ({ code }: { code: string }) => ({ signal: code }),
    )
    outcomes.set(String(status.signal), (outcomes.get(String(status.signal)) ?? 0) + 1)
  })
  const possible = ['ERR_NS_ABORTED', 'SIGKILL']
  expect([...outcomes.keys()].filter((outcome) => !possible.includes(outcome))).toEqual([])
  expect(await settled(before.children)).toEqual(before)
})

test('nor do two hundred programs that join, half of them aborted', async () => {
  const container = await launch(containerSpec(['/bin/sleep', '1000']), silent)
  await (await join(container, { process: containerSpec(['/bin/true']).process }, silent)).wait()
  const before = await settled(1)
  await repeat(200, async (spec, index) => {
    const controller = new AbortController()
    if (index % 2 === 0) setTimeout(() => controller.abort(), Math.random() * 6)
    const options = { ...silent, signal: controller.signal }
    await join(container, { process: spec.process }, options).then(
      (child) => child.wait(),
      ({ code }: { code: string }) => expect(code).toBe('ERR_NS_ABORTED'),
    )
  })
  expect(await settled(before.children)).toEqual(before)
  const path = `/proc/${container.pid}/task/${container.pid}/children`
  expect(readFileSync(path, 'latin1').trim().split(' ').length).toBe(1)
  container.kill('SIGKILL')
  await container.wait()
})
