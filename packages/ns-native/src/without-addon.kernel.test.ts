import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, cpSync, mkdirSync, readdirSync, readlinkSync, realpathSync } from 'node:fs'
import { join as joinPath } from 'node:path'
import { fileURLToPath } from 'node:url'
import { canCreateUserNamespace, requires, requiresProgram } from '@cromwell/test-support'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { attach } from './attach.ts'
import { findHelper } from './binding.ts'
import {
  collect,
  containerSpec,
  eventually,
  isAlive,
  nodeProgram,
  runSpec,
  temporaryDirectory,
} from './container.test.fixture.ts'
import { join } from './join.ts'
import { launch } from './launch.ts'

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

const packageDirectory = fileURLToPath(new URL('..', import.meta.url))
const addon = false
const silent = { stdio: ['ignore', 'ignore', 'ignore'], addon } as const

test('a program runs, with what it says, reads, and how it ends', async () => {
  const spec = containerSpec(['/bin/sh', '-c', 'cat; echo error >&2; hostname; exit 3'])
  expect(await runSpec(spec, { addon, input: 'input\n' })).toMatchObject({
    stdout: 'input\nbox\n',
    stderr: 'error\n',
    exitCode: 3,
  })
  const killed = containerSpec(['/bin/sh', '-c', 'kill -9 $$'])
  expect(await runSpec(killed, { addon })).toMatchObject({ exitCode: null, signal: 'SIGKILL' })
})

test('failures say what they say with it', async () => {
  await expect(launch(containerSpec(['/nope']), silent)).rejects.toMatchObject({
    code: 'ERR_NS_EXEC',
    path: '/nope',
  })
  const mounts = [{ type: 'bind', source: '/nope', destination: '/x' }] as const
  await expect(launch(containerSpec(['true'], { mounts }), silent)).rejects.toMatchObject({
    code: 'ERR_NS_SETUP',
    step: 'mnt',
  })
  const helperPath = joinPath(temporaryDirectory(), 'none')
  await expect(launch(containerSpec(['true']), { ...silent, helperPath })).rejects.toMatchObject({
    code: 'ERR_NS_HELPER',
    errno: 2,
  })
})

test('kill, abort, join and a terminal work', async () => {
  const controller = new AbortController()
  const child = await launch(containerSpec(['sleep', '1000']), {
    ...silent,
    signal: controller.signal,
  })
  const terminal = { columns: 80, rows: 24 }
  const process_ = { ...containerSpec([]).process, args: ['stty', 'size'], terminal }
  const joined = await join(child, { process: process_ }, { stdio: ['ignore', 'pipe', 2], addon })
  expect(await collect(joined.stdout)).toBe('24 80\r\n')
  controller.abort()
  expect(await child.wait()).toMatchObject({ signal: 'SIGKILL' })
  expect(child.kill()).toBe(false)
})

test('a detached container can be attached to', async () => {
  const attachPath = joinPath(temporaryDirectory(), 'socket')
  const spec = containerSpec(['sleep', '1000'], { monitor: { attachPath } })
  const child = await launch(spec, { ...silent, detached: true })
  child.unref()
  const attached = await attach({ socketPath: attachPath })
  attached.kill('SIGTERM')
  expect(await attached.wait()).toMatchObject({ signal: 'SIGTERM' })
})

test('what needs the addon says so', async () => {
  const spec = containerSpec(['true'], { network: {} })
  await expect(launch(spec, silent)).rejects.toMatchObject({
    code: 'ERR_NS_UNSUPPORTED',
    missing: ['addon'],
  })
})

test('twenty runs leave no descriptor and no process', async () => {
  await runSpec(containerSpec(['true']), { addon })
  const count = () => readdirSync('/proc/self/fd').length
  const before = count()
  await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      const spec = containerSpec([index % 4 === 0 ? '/nope' : 'true'])
      await runSpec(spec, { addon }).catch(() => {})
    }),
  )
  await eventually(() => count() <= before)
})

const LAUNCHER = `
import { launch } from '@cromwell/ns-native'
const [spec, options] = process.argv.slice(1).map((text) => JSON.parse(text))
const child = await launch(spec, { stdio: ['ignore', 'ignore', 'ignore'], ...options })
console.log(child.pid, child.monitorPid)
await child.wait()
`

function launchElsewhere(directory: string, args: string[], options: object) {
  const spec = containerSpec(args)
  const { seccomp: _, ...program } = spec.process
  const whole = JSON.stringify({ ...spec, process: program })
  const node = spawn(process.execPath, nodeProgram(LAUNCHER, whole, JSON.stringify(options)), {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => {
    node.kill('SIGKILL')
  })
  return node
}

test('kill -9 of Node kills the container', async () => {
  const node = launchElsewhere(packageDirectory, ['sleep', '1000'], { addon })
  const [line] = await once(node.stdout, 'data')
  const pids = String(line).trim().split(' ').map(Number)
  expect(pids.map(isAlive)).toEqual([true, true])
  node.kill('SIGKILL')
  await eventually(() => !pids.some(isAlive))
})

/** A copy of this package in which everything can be changed. */
function copyPackage(): string {
  const directory = temporaryDirectory()
  for (const name of ['package.json', 'dist']) {
    cpSync(joinPath(packageDirectory, name), joinPath(directory, name), { recursive: true })
  }
  const prebuilds = joinPath(directory, 'prebuilds', `linux-${process.arch}`)
  mkdirSync(prebuilds, { recursive: true })
  copyFileSync(findHelper(), joinPath(prebuilds, 'cromwell-init'))
  return directory
}

test('where the addon does not load it is done without', async () => {
  const node = launchElsewhere(copyPackage(), ['sleep', '1000'], {})
  const [line] = await once(node.stdout, 'data')
  const [, monitorPid = 0] = String(line).trim().split(' ').map(Number)
  expect(readlinkSync(`/proc/${monitorPid}/exe`)).toMatch(
    /prebuilds\/linux-[a-z0-9]+\/cromwell-init$/,
  )
})

const REPLACER = `
import { launch } from '@cromwell/ns-native'
const [first, second] = process.argv.slice(1).map((text) => JSON.parse(text))
const stdio = ['ignore', 1, 1]
const one = await launch(first, { stdio })
await one.wait()
const two = await launch(second, { stdio })
console.log('then', (await two.wait()).exitCode)
`

test('CVE-2019-5736: a helper on disk is not changed by who may write it, and a replaced one is not run', async () => {
  const directory = copyPackage()
  const helper = `prebuilds/linux-${process.arch}/cromwell-init`
  // Inside, the package is writable: what the helper runs from, and the directory that it is in.
  const bind = { type: 'bind', source: realpathSync(directory), destination: '/package' } as const
  const script =
    `cd /package; echo x >> ${helper} && echo written; chmod 777 ${helper}; ` +
    `echo x >> ${helper} && echo written; printf '#!/bin/sh\\nexit 77\\n' > evil; chmod 755 evil; ` +
    `mv evil ${helper} && echo replaced`
  const plain = (args: string[]) => {
    const { process: program, ...spec } = containerSpec(args, { mounts: [bind] })
    const { seccomp: _, ...rest } = program
    return JSON.stringify({ ...spec, process: rest })
  }
  const args = nodeProgram(
    REPLACER,
    plain(['/bin/sh', '-c', script]),
    plain(['/bin/sh', '-c', 'exit 5']),
  )
  const { stdout } = spawnSync(process.execPath, args, { cwd: directory, encoding: 'utf8' })
  expect(stdout).toContain('Text file busy')
  expect(stdout).not.toContain('written')
  expect(stdout).toContain('replaced')
  expect(stdout).toMatch(/then 5\n$/)
})

test('with vm.memfd_noexec the helper runs from its file', async (context) => {
  requires(context, 'root', process.getuid?.() === 0, 'the sysctl is root’s')
  const unshare = requiresProgram(context, 'unshare')
  const spec = containerSpec(['sleep', '1000'])
  const { seccomp: _, ...program } = spec.process
  const source = `${LAUNCHER}`.replace(
    'await child.wait()',
    "console.log(fs.readlinkSync('/proc/' + child.monitorPid + '/exe')); child.kill('SIGKILL')",
  )
  const script = 'echo 2 > /proc/sys/vm/memfd_noexec && exec "$@"'
  const node = nodeProgram(
    `import fs from 'node:fs'\n${source}`,
    JSON.stringify({ ...spec, process: program }),
    '{}',
  )
  const { stdout } = spawnSync(
    unshare,
    ['-pf', '--mount-proc', 'sh', '-c', script, 'sh', process.execPath, ...node],
    { cwd: packageDirectory, encoding: 'utf8' },
  )
  expect(stdout).toContain(findHelper())
})
