import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join as joinPath } from 'node:path'
import { fileURLToPath } from 'node:url'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { cgroup } from './cgroup/cgroup.ts'
import {
  type Changes,
  containerSpec,
  eventually,
  isAlive,
  nodeProgram,
  runScript,
  runSpec,
  temporaryDirectory,
} from './container.test.fixture.ts'
import { join } from './join.ts'
import { launch } from './launch.ts'
import type { Limits } from './limits.ts'

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

const packageDirectory = fileURLToPath(new URL('..', import.meta.url))
const silent = { stdio: ['ignore', 'ignore', 'ignore'] } as const
const MEGABYTE = 1 << 20
const BUSY = 'while :; do :; done'

/** A shell script under limits; root without a control group of its own puts up with less. */
const limited = (script: string, limits: Limits, changes: Changes = {}) =>
  runScript(script, { limits, allowDegraded: ['pids', 'cpus'], ...changes })

test('a program that ends by itself says so, and what it used', async () => {
  const { reason, exitCode, usage, limits } = await limited('exit 3', {})
  expect({ reason, exitCode, limits }).toEqual({ reason: 'exit', exitCode: 3, limits: {} })
  expect(usage.wallMs).toBeGreaterThan(0)
  expect(usage.peakMemoryBytes).toBeGreaterThan(0)
  expect(usage.source).toMatchObject({ userMs: 'rusage', peakMemoryBytes: 'rusage' })
})

test('a signal, a seccomp kill and an abort are told apart', async () => {
  expect(await limited('kill -TERM $$', {})).toMatchObject({ reason: 'signal', signal: 'SIGTERM' })
  expect(await limited('kill -SYS $$', {})).toMatchObject({ reason: 'seccomp', signal: 'SIGSYS' })
  const controller = new AbortController()
  const options = { ...silent, signal: controller.signal }
  const child = await launch(containerSpec(['sleep', '1000']), options)
  controller.abort()
  expect(await child.wait()).toMatchObject({ reason: 'abort', signal: 'SIGKILL' })
})

test('wall time ends it', async () => {
  const met: string[] = []
  const spec = containerSpec(['sleep', '1000'], { limits: { wallMs: 150 } })
  const result = await runSpec(spec, { onLimit: (limit) => met.push(limit) })
  expect(result).toMatchObject({
    reason: 'wall',
    signal: 'SIGKILL',
    limits: { wall: { enforcedBy: 'monitor', limit: 150 } },
  })
  expect(result.usage.wallMs).toBeGreaterThanOrEqual(150)
  expect(met).toEqual(['wall'])
})

test('processor time ends it, that of children included', async () => {
  const result = await limited(`(${BUSY}) & (${BUSY}) & wait`, { cpuMs: 200 })
  expect(result).toMatchObject({ reason: 'cpu', limits: { cpu: { enforcedBy: 'monitor' } } })
  expect(result.usage.userMs + result.usage.systemMs).toBeGreaterThanOrEqual(190)
})

test('sleeping takes no processor time', async () => {
  expect(await limited('sleep 2.5', { cpuMs: 2000 })).toMatchObject({ reason: 'exit', exitCode: 0 })
})

test('a flood of output is cut at the limit and ends the program', async () => {
  const result = await limited('yes', { outputBytes: 100_000 })
  expect(result).toMatchObject({ reason: 'output', limits: { output: { limit: 100_000 } } })
  expect(result.stdout).toHaveLength(100_000)
  expect(result.usage.outputBytes).toBeGreaterThan(100_000)
})

test('stdout and stderr count together, and what ended meanwhile was too much, too', async () => {
  const result = await limited('printf 12345; printf 67890 >&2', { outputBytes: 7 })
  expect(result.reason).toBe('output')
  expect(result.stdout.length + result.stderr.length).toBe(7)
  expect(await limited('printf 1234567', { outputBytes: 7 })).toMatchObject({ reason: 'exit' })
})

test('output that nobody reads is no way around the limit of it', async () => {
  const path = joinPath(temporaryDirectory(), 'log')
  const spec = containerSpec(['yes'], {
    limits: { outputBytes: 10_000 },
    monitor: { logPath: path },
  })
  const child = await launch(spec, silent)
  expect(await child.wait()).toMatchObject({ reason: 'output' })
  const lines = readFileSync(path, 'utf8').match(/^\S+ stdout [FP] y?$/gm) ?? []
  expect(lines.join('').length).toBeGreaterThan(10_000)
})

test('a memory bomb ends for the reason of memory, whoever holds the limit', async () => {
  const result = await limited('tail /dev/zero; exit 4', { memoryBytes: 40 * MEGABYTE })
  expect(result.reason).toBe('memory')
  expect(['cgroup1', 'cgroup2', 'systemd', 'watchdog']).toContain(result.limits.memory?.enforcedBy)
  expect(result.usage.peakMemoryBytes).toBeGreaterThan(20 * MEGABYTE)
})

test('a program within its memory is left alone', async () => {
  const script = 'head -c 20000000 /dev/zero | tail -c 20000000 | wc -c; sleep 0.1'
  const result = await limited(script, { memoryBytes: 100 * MEGABYTE })
  expect(result).toMatchObject({ reason: 'exit', exitCode: 0, stdout: '20000000\n' })
})

const FORK_BOMB = 'bomb() { bomb | bomb & }; bomb; sleep 1; exit 5'

test('a fork bomb is held to the number of processes it may have', async () => {
  const result = await limited(FORK_BOMB, { pids: 16, wallMs: 20_000 })
  expect(result.limits.pids?.enforcedBy).toMatch(
    /^(cgroup1|cgroup2|systemd|userns-rlimit|watchdog)$/,
  )
  expect(['pids', 'exit', 'signal']).toContain(result.reason)
  if (result.usage.source.peakPids?.startsWith('cgroup')) {
    expect(result).toMatchObject({ reason: 'pids' })
    expect(result.usage.peakPids).toBeLessThanOrEqual(16)
    expect(result.usage.pidsDenied).toBeGreaterThan(0)
  }
})

test('as many processes as are allowed can be had, and one more cannot', async () => {
  const start = (count: number) => `for i in $(seq ${count}); do sleep 0.3 & done; wait; echo fine`
  // the shell is one of them
  const fits = await limited(start(4), { pids: 5 })
  expect(fits).toMatchObject({ reason: 'exit', stdout: 'fine\n' })
  const result = await limited(start(5), { pids: 5 })
  expect(result.stdout).not.toContain('fine')
  expect(result.exitCode).not.toBe(0)
})

test('a number of processors is had, by whatever holds it', async () => {
  const result = await limited(`nproc; ${BUSY}`, { cpus: 1, wallMs: 1000 })
  const { enforcedBy } = result.limits.cpus ?? {}
  expect(['cgroup1', 'cgroup2', 'systemd', 'affinity']).toContain(enforcedBy)
  if (enforcedBy === 'affinity') expect(result.stdout).toBe('1\n')
})

test('a part of a processor is more than affinity can give', async (context) => {
  requires(context, 'no-cgroup', cgroup.detect().by === undefined, 'there is a control group')
  const limits = { cpus: 0.5 }
  const refused = { code: 'ERR_NS_UNSUPPORTED', missing: ['cpus'], pointer: '/limits/cpus' }
  await expect(runSpec(containerSpec(['true'], { limits }))).rejects.toMatchObject(refused)
  const result = await limited('nproc', limits)
  expect(result.stdout).toBe('1\n')
  expect(result.limits.cpus).toMatchObject({ enforcedBy: 'affinity', limit: 1, degraded: true })
})

test('a program that joins is held by the container’s limit of processes', async () => {
  const spec = containerSpec(['sleep', '1000'], { limits: { pids: 6 }, allowDegraded: ['pids'] })
  const child = await launch(spec, silent)
  const args = ['/bin/sh', '-c', 'for i in 1 2 3 4 5 6; do sleep 5 & done; wait']
  const joined = await join(child, { process: { ...spec.process, args } }, silent)
  expect(await joined.wait()).not.toMatchObject({ exitCode: 0 })
  child.kill('SIGKILL')
  await child.wait()
})

test('what is used can be asked for while it runs', async () => {
  const spec = containerSpec(['/bin/sh', '-c', 'sleep 1000 & sleep 1000'])
  const child = await launch(spec, silent)
  const usage = await eventually(async () => {
    const now = await child.usage()
    return now.pids === 3 ? now : undefined
  })
  expect(usage.memoryBytes).toBeGreaterThan(0)
  expect(usage.source.pids).toBe('sampled')
  child.kill('SIGKILL')
  await child.wait()
  await expect(child.usage()).rejects.toThrow('the container has ended')
})

test('a container without a group cannot be paused, and says how to get one', async () => {
  const child = await launch(containerSpec(['sleep', '1000']), silent)
  await expect(child.pause()).rejects.toMatchObject({
    code: 'ERR_NS_UNSUPPORTED',
    missing: ['freezer'],
  })
  child.kill('SIGKILL')
  await child.wait()
})

const LAUNCHER = `
import { writeSync } from 'node:fs'
import { launch } from '@cromwell/ns-native'
const [spec, options, then] = process.argv.slice(1)
const child = await launch(JSON.parse(spec), { stdio: ['ignore', 'ignore', 'ignore'], ...JSON.parse(options) })
writeSync(1, child.pid + ' ' + child.monitorPid + '\\n')
if (then === 'busy') for (;;);
if (then === 'wait') await child.wait()
`

/** Another Node process that launches a spec; resolves with its own, init's and the monitor's pid. */
async function launchElsewhere(script: string, limits: Limits, options: object, then: string) {
  const exitPath = joinPath(temporaryDirectory(), 'exit')
  const spec = containerSpec(['/bin/sh', '-c', script], { limits, monitor: { exitPath } })
  const { seccomp: _, ...program } = spec.process
  const texts = [{ ...spec, process: program }, options].map((part) => JSON.stringify(part))
  const node: ChildProcess = spawn(process.execPath, nodeProgram(LAUNCHER, ...texts, then), {
    cwd: packageDirectory,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => {
    node.kill('SIGKILL')
  })
  const said = node.stdout === null ? [] : [once(node.stdout, 'data')]
  const [line] = await Promise.race([...said, once(node, 'exit')])
  const [pid = 0, monitorPid = 0] = String(line).trim().split(' ').map(Number)
  onTestFinished(() => {
    if (isAlive(monitorPid)) process.kill(monitorPid, 'SIGKILL')
  })
  const record = () => {
    try {
      return readFileSync(exitPath, 'utf8')
    } catch {
      return undefined // not yet
    }
  }
  return { node, pid, record }
}

const STUCK: [string, string, (node: ChildProcess) => unknown, object][] = [
  ['stopped', 'wait', (node) => node.kill('SIGSTOP'), {}],
  ['in a loop that never ends', 'busy', () => {}, {}],
  ['killed, after a detached launch', 'wait', (node) => node.kill('SIGKILL'), { detached: true }],
]

test.each(STUCK)('wall time holds when Node is %s', async (_, then, disturb, options) => {
  const { node, pid, record } = await launchElsewhere('sleep 1000', { wallMs: 700 }, options, then)
  expect(isAlive(pid)).toBe(true)
  disturb(node)
  expect(await eventually(record)).toContain('signal=SIGKILL\nreason=wall\n')
  expect(isAlive(pid)).toBe(false)
})

test.each(STUCK)('processor time holds when Node is %s', async (_, then, disturb, options) => {
  const { node, pid, record } = await launchElsewhere(BUSY, { cpuMs: 400 }, options, then)
  disturb(node)
  expect(await eventually(record)).toContain('reason=cpu\n')
  expect(isAlive(pid)).toBe(false)
})

test.each(STUCK)('the limit of output holds when Node is %s', async (_, then, disturb, options) => {
  const script = 'sleep 0.5; exec yes'
  const { node, pid, record } = await launchElsewhere(script, { outputBytes: 5000 }, options, then)
  disturb(node)
  expect(await eventually(record)).toContain('reason=output\n')
  expect(isAlive(pid)).toBe(false)
})

test('the death of Node is told as the reason where somebody may still read it', async () => {
  const { node, record } = await launchElsewhere('sleep 1000', {}, {}, 'wait')
  node.kill('SIGKILL')
  expect(await eventually(record)).toContain('reason=parent-gone\n')
})
