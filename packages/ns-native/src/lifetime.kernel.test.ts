import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import {
  containerSpec,
  eventually,
  isAlive,
  nodeProgram,
  runScript,
  temporaryDirectory,
} from './container.test.fixture.ts'
import { launch } from './launch.ts'
import type { LaunchSpec } from './launch-spec.ts'

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

const packageDirectory = fileURLToPath(new URL('..', import.meta.url))
const silent = { stdio: ['ignore', 'ignore', 'ignore'] } as const

/** Sleeps, together with a grandchild in a session of its own, and says so. */
const FAMILY = 'setsid sleep 1000 & (sleep 1000 &) ; sleep 0.05; echo ready; wait; sleep 1000'

/** Pids of the host of everything in the pid namespace of `pid`. */
function family(pid: number): number[] {
  const namespace = (of: number | string) => {
    try {
      return readlinkSync(`/proc/${of}/ns/pid`)
    } catch {
      return undefined // not ours to see, or gone
    }
  }
  const wanted = childrenOf(pid).map(namespace)[0]
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return all.filter((name) => wanted !== undefined && namespace(name) === wanted).map(Number)
}

function childrenOf(pid: number): number[] {
  const path = `/proc/${pid}/task/${pid}/children`
  return readFileSync(path, 'latin1').trim().split(' ').filter(Boolean).map(Number)
}

async function startFamily() {
  const child = await launch(containerSpec(['/bin/sh', '-c', FAMILY]), {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  await once(child.stdout ?? child.stdin ?? fail(), 'data')
  const pids = family(child.pid)
  expect(pids.length).toBeGreaterThanOrEqual(3)
  return { child, pids }
}

function fail(): never {
  throw new Error('there is a pipe')
}

const LAUNCHER = `
import { launch } from '@cromwell/ns-native'
const [spec, options, then] = process.argv.slice(1)
const child = await launch(JSON.parse(spec), { stdio: ['ignore', 'ignore', 'ignore'], ...JSON.parse(options) })
if (then === 'detach') child.detach()
console.log(child.pid, child.monitorPid)
if (then === 'wait') await child.wait()
if (then === 'unref') child.unref()
`

/** Another Node process that launches a spec; resolves with its own, init's and the monitor's pid. */
async function launchElsewhere(spec: LaunchSpec, options: object, then: string) {
  const { seccomp: _, ...process_ } = spec.process
  const args = nodeProgram(
    LAUNCHER,
    JSON.stringify({ ...spec, process: process_ }),
    JSON.stringify(options),
    then,
  )
  const node: ChildProcess = spawn(process.execPath, args, {
    cwd: packageDirectory,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => {
    node.kill('SIGKILL')
  })
  const ended = once(node, 'exit')
  const [line] = await once(node.stdout ?? fail(), 'data')
  const [pid = 0, monitorPid = 0] = String(line).trim().split(' ').map(Number)
  onTestFinished(() => {
    if (isAlive(monitorPid)) process.kill(monitorPid, 'SIGKILL')
  })
  return { node, pid, monitorPid, ended }
}

test('kill ends everything inside, sessions of their own and orphans too', async () => {
  const { child, pids } = await startFamily()
  expect(child.kill('SIGKILL')).toBe(true)
  expect(await child.wait()).toMatchObject({ exitCode: null, signal: 'SIGKILL' })
  expect(pids.filter(isAlive)).toEqual([])
  expect(child.kill('SIGKILL')).toBe(false)
})

test('the end of the program is the end of everything inside', async () => {
  const { child, pids } = await startFamily()
  child.kill('SIGTERM')
  expect(await child.wait()).toMatchObject({ signal: 'SIGTERM' })
  expect(pids.filter(isAlive)).toEqual([])
})

test('kill -9 of the monitor kills the container, and wait says that it was lost', async () => {
  const { child, pids } = await startFamily()
  process.kill(child.monitorPid, 'SIGKILL')
  await expect(child.wait()).rejects.toMatchObject({ code: 'ERR_NS_MONITOR_LOST' })
  await eventually(() => pids.filter(isAlive).length === 0)
})

test('kill -9 of Node kills the container', async () => {
  const spec = containerSpec(['/bin/sh', '-c', FAMILY])
  const { node, pid, monitorPid } = await launchElsewhere(spec, {}, 'wait')
  const pids = family(pid)
  node.kill('SIGKILL')
  await eventually(() => [pid, monitorPid, ...pids].filter(isAlive).length === 0)
})

test('kill -9 of PID 1 is the death of the container by SIGKILL', async () => {
  const { child, pids } = await startFamily()
  process.kill(child.pid, 'SIGKILL')
  expect(await child.wait()).toMatchObject({ exitCode: null, signal: 'SIGKILL' })
  expect(pids.filter(isAlive)).toEqual([])
})

test('signals reach the program by way of kill, of PID 1 and of the monitor', async () => {
  for (const way of ['kill', 'pid', 'monitorPid'] as const) {
    const script = 'trap "echo got; exit 4" USR1; echo ready; while :; do sleep 0.02; done'
    const child = await launch(containerSpec(['/bin/sh', '-c', script]), {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    await once(child.stdout ?? fail(), 'data')
    if (way === 'kill') child.kill('SIGUSR1')
    else process.kill(child[way], 'SIGUSR1')
    expect(await child.wait()).toMatchObject({ exitCode: 4 })
  }
})

test('a program can be stopped and continued', async () => {
  const script = 'echo ready; read x; echo "$x"'
  const child = await launch(containerSpec(['/bin/sh', '-c', script]), {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  await once(child.stdout ?? fail(), 'data')
  const [payload = 0] = childrenOf(child.pid)
  child.kill('SIGSTOP')
  await eventually(() => readFileSync(`/proc/${payload}/stat`, 'latin1').includes(') T '))
  child.kill('SIGCONT')
  child.stdin?.end('go\n')
  expect(await child.wait()).toMatchObject({ exitCode: 0 })
})

test('a signal that comes after the end does not cost the exit status', async () => {
  const script = "trap 'exit 7' USR1; echo ready; while :; do sleep 0.05; done"
  const child = await launch(containerSpec(['sh', '-c', script]), {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  await once(child.stdout ?? fail(), 'data')
  // The monitor ends while this thread is not looking: it learns of that only afterwards.
  process.kill(child.pid, 'SIGUSR1')
  while (isAlive(child.monitorPid)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
  expect(child.kill()).toBe(true)
  expect(await child.wait()).toMatchObject({ exitCode: 7 })
})

test('a signal that does not exist is a TypeError', async () => {
  const child = await launch(containerSpec(['sleep', '10']), silent)
  // what a caller without types may pass
  expect(() => child.kill('SIGNOPE' as 'SIGTERM')).toThrow(TypeError)
  expect(() => child.kill(65)).toThrow(TypeError)
  child.kill('SIGKILL')
  await child.wait()
})

test('abort kills', async () => {
  const controller = new AbortController()
  const options = { ...silent, signal: controller.signal }
  const child = await launch(containerSpec(['sleep', '1000']), options)
  controller.abort()
  expect(await child.wait()).toMatchObject({ signal: 'SIGKILL' })
})

test('abort before the start rejects, and leaves nothing running', async () => {
  const controller = new AbortController()
  const options = { ...silent, signal: controller.signal }
  const started = launch(containerSpec(['sleep', '1000']), options)
  controller.abort(new Error('changed my mind'))
  await expect(started).rejects.toMatchObject({
    code: 'ERR_NS_ABORTED',
    cause: expect.objectContaining({ message: 'changed my mind' }),
  })
  await expect(launch(containerSpec(['true']), options)).rejects.toMatchObject({
    code: 'ERR_NS_ABORTED',
  })
})

test('nobody hears of the start of what was aborted, however fast it starts', async () => {
  const { hostname: _, root: __, ...whole } = containerSpec(['sleep', '1000'])
  const nothing = { mounts: [], maskedPaths: [], readonlyPaths: [] }
  const spec: LaunchSpec = { ...whole, ...nothing, namespaces: ['user', 'pid'] }
  for (let round = 0; round < 20; round++) {
    const controller = new AbortController()
    const options = { ...silent, signal: controller.signal }
    const started = launch(spec, options)
    const until = performance.now() + round / 10
    while (performance.now() < until); // so that it is told as late as can be
    controller.abort()
    await expect(started).rejects.toMatchObject({ code: 'ERR_NS_ABORTED' })
  }
})

test('orphans are reaped by PID 1', async () => {
  const { stdout } = await runScript(
    'i=0; while [ $i -lt 50 ]; do (sh -c "exit 3" &); i=$((i+1)); done; sleep 0.3; ' +
      'cat /proc/[0-9]*/stat | grep -c ") Z"; cat /proc/[0-9]*/comm | grep -c cromwell-init',
  )
  expect(stdout).toBe('0\n1\n')
})

test('the program cannot kill PID 1', async () => {
  const { stdout } = await runScript('kill -9 1; kill -STOP 1; sleep 0.05; echo still here')
  expect(stdout).toBe('still here\n')
})

test.each([
  ['from the start', { detached: true }, 'exit'],
  ['by detach()', {}, 'detach'],
])(
  'a container detached %s outlives its launcher, and its end is written down',
  async (_, options, then) => {
    const directory = temporaryDirectory()
    const garbage = join(directory, 'garbage')
    mkdirSync(garbage)
    const [logPath, exitPath] = [join(directory, 'log'), join(directory, 'exit')]
    const spec: LaunchSpec = {
      ...containerSpec(['/bin/sh', '-c', 'echo one; sleep 0.5; echo two; exit 5']),
      monitor: { logPath, exitPath, removeOnExit: [garbage] },
    }
    const { ended, pid, monitorPid, node } = await launchElsewhere(spec, options, then)
    if (then === 'exit') node.kill('SIGKILL')
    await ended
    expect(isAlive(pid)).toBe(true)
    await eventually(() => !isAlive(monitorPid))
    expect(readFileSync(exitPath, 'utf8')).toMatch(
      /^exit-code=5\nsignal=\nfinished-at=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z\n$/,
    )
    expect(readFileSync(logPath, 'utf8')).toMatch(/F one\n.*F two\n$/)
    expect(existsSync(garbage)).toBe(false)
  },
)

test('death by a signal is written down by its name', async () => {
  const exitPath = join(temporaryDirectory(), 'exit')
  await runScript('kill -9 $$', { monitor: { exitPath } })
  expect(readFileSync(exitPath, 'utf8')).toMatch(/^exit-code=\nsignal=SIGKILL\n/)
})

test('the exit file and the removal do not depend on Node being there', async () => {
  const directory = temporaryDirectory()
  const [exitPath, garbage] = [join(directory, 'exit'), join(directory, 'garbage')]
  mkdirSync(garbage)
  const monitor = { exitPath, removeOnExit: [garbage] }
  const spec = containerSpec(['sleep', '1000'], { monitor })
  const { node, monitorPid } = await launchElsewhere(spec, {}, 'wait')
  node.kill('SIGKILL')
  await eventually(() => !isAlive(monitorPid))
  expect(readFileSync(exitPath, 'utf8')).toContain('signal=SIGKILL')
  expect(existsSync(garbage)).toBe(false)
})

test('after a failed launch there is no exit file, and what was to be removed is', async () => {
  const directory = temporaryDirectory()
  const [exitPath, garbage] = [join(directory, 'exit'), join(directory, 'garbage')]
  mkdirSync(garbage)
  const monitor = { exitPath, removeOnExit: [garbage] }
  await expect(launch(containerSpec(['/nope'], { monitor }), silent)).rejects.toThrow()
  expect(readdirSync(directory)).toEqual([])
})

test('with unref a launcher need not wait', async () => {
  const { ended } = await launchElsewhere(containerSpec(['sleep', '1000']), {}, 'unref')
  expect(await ended).toEqual([0, null])
})

test('a detached monitor is small', async () => {
  const spec = containerSpec(['sleep', '1000'])
  const { ended, monitorPid } = await launchElsewhere(spec, { detached: true }, 'unref')
  await ended
  const rollup = readFileSync(`/proc/${monitorPid}/smaps_rollup`, 'latin1')
  const kilobytes = Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1])
  expect(kilobytes).toBeGreaterThan(0)
  expect(kilobytes).toBeLessThan(200)
  process.kill(monitorPid, 'SIGTERM')
})

test('a hundred runs leave no descriptor, process, mount or file', async () => {
  const count = () => ({
    fds: readdirSync('/proc/self/fd').length,
    mounts: readFileSync('/proc/self/mountinfo', 'utf8'),
    children: childrenOf(process.pid),
  })
  const specs = Array.from({ length: 8 }, () => containerSpec(['true']))
  const bad = { ...containerSpec(['/nope']) }
  await launch(bad, silent).catch(() => {})
  const before = count()
  for (let round = 0; round < 100; round += specs.length) {
    const runs = specs.map(async (spec, index) => {
      if (index === 0) return expect(launch(bad, silent)).rejects.toThrow()
      const child = await launch(spec, { stdio: ['pipe', 'pipe', 'pipe'] })
      child.stdin?.destroy()
      child.stdout?.resume()
      child.stderr?.resume()
      return child.wait()
    })
    await Promise.all(runs)
  }
  await eventually(() => count().fds <= before.fds)
  expect(count()).toEqual(before)
})
