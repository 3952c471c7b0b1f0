import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join as joinPath } from 'node:path'
import { fileURLToPath } from 'node:url'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { attach, readExitFile } from './attach.ts'
import {
  containerSpec,
  eventually,
  isAlive,
  nodeProgram,
  temporaryDirectory,
} from './container.test.fixture.ts'
import { join } from './join.ts'
import { launch } from './launch.ts'

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

const packageDirectory = fileURLToPath(new URL('..', import.meta.url))
const silent = { stdio: ['ignore', 'ignore', 'ignore'] } as const

/** A detached container with a state directory, whose launcher knows nothing of it any more. */
async function startDetached(script: string, directory = temporaryDirectory()) {
  const monitor = {
    attachPath: joinPath(directory, 'monitor.sock'),
    exitPath: joinPath(directory, 'exit'),
  }
  const spec = containerSpec(['/bin/sh', '-c', script], { monitor })
  const child = await launch(spec, { ...silent, detached: true })
  child.unref()
  onTestFinished(() => {
    try {
      process.kill(child.pid, 'SIGKILL')
    } catch {
      // has ended
    }
  })
  return { directory, child, ...monitor }
}

test('an attached process waits, signals, and joins as who launched', async () => {
  const { directory, child } = await startDetached(
    'trap "exit 9" TERM; while :; do sleep 0.02; done',
  )
  const attached = await attach({ stateDirectory: directory })
  expect([attached.pid, attached.monitorPid]).toEqual([child.pid, child.monitorPid])
  const joined = await join(attached, { process: containerSpec(['true']).process }, silent)
  expect(await joined.wait()).toMatchObject({ exitCode: 0 })
  expect(attached.kill('SIGTERM')).toBe(true)
  const status = await attached.wait()
  expect(status).toMatchObject({ exitCode: 9, signal: null })
  expect(status).toEqual(await child.wait())
  expect(attached.kill('SIGTERM')).toBe(false)
})

test('several are attached at once; all learn of the end, and a place is free again', async () => {
  const { attachPath: socketPath } = await startDetached('sleep 1000')
  for (let round = 0; round < 3; round++) {
    const sockets = Array.from({ length: 7 }, () => connect({ path: socketPath }))
    await Promise.all(sockets.map((socket) => once(socket, 'data')))
    for (const socket of sockets) socket.destroy()
  }
  const all = await eventuallyAttached(5, socketPath)
  all[2]?.kill('SIGKILL')
  for (const one of all) expect(await one.wait()).toMatchObject({ signal: 'SIGKILL' })
})

// Places of connections that have been closed become free when the monitor has noticed.
async function eventuallyAttached(count: number, socketPath: string) {
  const all = []
  while (all.length < count) {
    const one = await attach({ socketPath }).catch(() => undefined)
    if (one !== undefined) all.push(one)
  }
  return all
}

const ATTACHER = `
import { attach } from '@cromwell/ns-native'
const child = await attach({ stateDirectory: process.argv[1] })
console.log(child.pid)
console.log(JSON.stringify(await child.wait()))
`

test('another process attaches; its death changes nothing, and the next one learns of the end', async () => {
  const { directory, child } = await startDetached('sleep 1000')
  const start = () => {
    const node = spawn(process.execPath, nodeProgram(ATTACHER, directory), {
      cwd: packageDirectory,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    onTestFinished(() => {
      node.kill('SIGKILL')
    })
    return node
  }
  const first = start()
  expect(Number(await once(first.stdout, 'data'))).toBe(child.pid)
  first.kill('SIGKILL')
  await once(first, 'exit')
  const second = start()
  await once(second.stdout, 'data')
  expect(isAlive(child.pid)).toBe(true)
  process.kill(child.pid, 'SIGKILL')
  const [line] = await once(second.stdout, 'data')
  expect(JSON.parse(String(line))).toMatchObject({ exitCode: null, signal: 'SIGKILL' })
})

test('after the end the socket is gone and the exit file tells', async () => {
  const { directory, child, attachPath, exitPath } = await startDetached('exit 6')
  await child.wait()
  expect(existsSync(attachPath)).toBe(false)
  await expect(attach({ stateDirectory: directory })).rejects.toMatchObject({
    code: 'ERR_NS_ENDED',
  })
  expect(readExitFile(exitPath)).toMatchObject({ exitCode: 6, signal: null })
  expect(readExitFile(`${exitPath}.none`)).toBeUndefined()
  writeFileSync(exitPath, 'exit-code=\nsignal=SIG40\n')
  expect(readExitFile(exitPath)).toMatchObject({ exitCode: 168, signal: null })
})

test('a monitor that was killed leaves a socket on which nobody listens', async () => {
  const { child, attachPath: socketPath } = await startDetached('sleep 1000')
  const attached = await attach({ socketPath })
  process.kill(child.monitorPid, 'SIGKILL')
  await expect(attached.wait()).rejects.toMatchObject({ code: 'ERR_NS_MONITOR_LOST' })
  await expect(attach({ socketPath })).rejects.toMatchObject({ code: 'ERR_NS_ENDED' })
})

test('another container than the one that is meant is refused', async () => {
  const { child, attachPath: socketPath } = await startDetached('sleep 1000')
  const { pid } = child
  for (const wrong of [{ pid: pid + 1 }, { pid, startTime: 1 }]) {
    await expect(attach({ socketPath, ...wrong })).rejects.toMatchObject({ code: 'ERR_NS_ENDED' })
  }
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const startTime = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19])
  expect(await attach({ socketPath, pid, startTime })).toMatchObject({ pid })
})

test('the socket is its user’s alone, and so must be the directory', async () => {
  const { attachPath } = await startDetached('sleep 1000')
  expect(statSync(attachPath).mode & 0o777).toBe(0o600)
  const open = temporaryDirectory()
  chmodSync(open, 0o770)
  await expect(startDetached('true', open)).rejects.toMatchObject({
    code: 'ERR_NS_SETUP',
    step: 'attach',
    errno: 13,
    path: joinPath(open, 'monitor.sock'),
  })
})

test('root may attach to a plain user’s container, another plain user may not', async (context) => {
  requires(context, 'root', process.getuid?.() === 0, 'takes two users')
  const { attachPath, directory } = await startDetached('sleep 1000')
  chmodSync(directory, 0o711)
  chmodSync(attachPath, 0o666)
  const script = `
    const socket = require('node:net').connect({ path: process.argv[1] })
    socket.on('data', (data) => console.log('told ' + data.length))
    socket.on('close', () => console.log('closed'))
  `
  const node = spawn(process.execPath, ['--eval', script, attachPath], {
    uid: 65534,
    gid: 65534,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [said] = await once(node.stdout, 'data')
  expect(String(said)).toBe('closed\n')
})

test('a path of any length will do, and what a dead monitor left behind is replaced', async () => {
  let directory = temporaryDirectory()
  for (let depth = 0; depth < 3; depth++) directory = joinPath(directory, 'd'.repeat(60))
  mkdirSync(directory, { recursive: true, mode: 0o700 }) // whatever the umask
  writeFileSync(joinPath(directory, 'monitor.sock'), 'stale')
  const { child } = await startDetached('sleep 1000', directory)
  expect(await attach({ stateDirectory: directory })).toMatchObject({ pid: child.pid })
})

test('nonsense on the socket ends that connection only', async () => {
  const { attachPath: socketPath, child } = await startDetached('sleep 1000')
  const rude = connect({ path: socketPath })
  rude.resume()
  rude.write('GET / HTTP/1.1\r\n\r\n')
  await once(rude, 'close')
  expect(isAlive(child.pid)).toBe(true)
  expect(await attach({ socketPath })).toMatchObject({ pid: child.pid })
})

test('who listens there and is no monitor is told apart', async () => {
  const socketPath = joinPath(temporaryDirectory(), 'other')
  const server = createServer((socket) => socket.end('hello, I am not a monitor'))
  await new Promise<void>((done) => {
    server.listen(socketPath, done)
  })
  await expect(attach({ socketPath })).rejects.toMatchObject({ code: 'ERR_NS_HELPER' })
  server.close()
})

test('a monitor that can be attached to stays small', async () => {
  const { child, attachPath: socketPath } = await startDetached('sleep 1000')
  await attach({ socketPath })
  const rollup = readFileSync(`/proc/${child.monitorPid}/smaps_rollup`, 'latin1')
  const [, pss = '0'] = /^Pss:\s+(\d+)/m.exec(rollup) ?? []
  expect(Number(pss)).toBeLessThan(100)
  await eventually(() => isAlive(child.pid))
})
