import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { expect, onTestFinished, test } from 'vitest'
import { eventually, nodeProgram } from './container.test.fixture.ts'
import { pidfd } from './pidfd.ts'

const packageDirectory = fileURLToPath(new URL('..', import.meta.url))

function sleeper() {
  const child = spawn('sleep', ['1000'], { stdio: 'ignore' })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  return { child, pid: child.pid ?? 0 }
}

function openFd(pid: number): number {
  const fd = pidfd.open(pid)
  onTestFinished(() => pidfd.close(fd))
  return fd
}

test('a process is signalled and its end waited for, beside Node’s own waiting for it', async () => {
  const { child, pid } = sleeper()
  const fd = openFd(pid)
  const exited = once(child, 'exit')
  const both = Promise.all([pidfd.wait(fd), pidfd.wait(fd)])
  expect(pidfd.sendSignal(fd, 0)).toBe(true)
  expect(pidfd.sendSignal(fd, 'SIGTERM')).toBe(true)
  await both
  expect(await exited).toEqual([null, 'SIGTERM'])
  expect(pidfd.sendSignal(fd, 'SIGTERM')).toBe(false)
  await pidfd.wait(fd)
})

test('the end of a process that is nobody’s child here can be waited for', async () => {
  const shell = spawn('sh', ['-c', 'sleep 1000 & echo $!'], { stdio: ['ignore', 'pipe', 'ignore'] })
  const [line] = await once(shell.stdout, 'data')
  const fd = openFd(Number(line))
  const ended = pidfd.wait(fd)
  pidfd.sendSignal(fd, 'SIGKILL')
  await ended
})

test('the descriptor may be closed while its process is waited for', async () => {
  const { child, pid } = sleeper()
  const fd = pidfd.open(pid)
  const ended = pidfd.wait(fd)
  pidfd.close(fd)
  child.kill('SIGKILL')
  await ended
})

test('waiting can be given up', async () => {
  const fd = openFd(sleeper().pid)
  const before = readdirSync('/proc/self/fd').length
  const controller = new AbortController()
  const ended = pidfd.wait(fd, { signal: controller.signal })
  controller.abort(new Error('enough'))
  await expect(ended).rejects.toThrow('enough')
  await eventually(() => readdirSync('/proc/self/fd').length <= before)
  await expect(pidfd.wait(fd, { signal: controller.signal })).rejects.toThrow('enough')
})

test('what is no process, no pidfd or no signal is an error', async () => {
  const { child, pid } = sleeper()
  const fd = openFd(pid)
  child.kill('SIGKILL')
  await once(child, 'exit')
  expect(() => pidfd.open(pid)).toThrow(expect.objectContaining({ code: 'ERR_NS_ENDED' }))
  expect(() => pidfd.open(-1)).toThrow(TypeError)
  expect(() => pidfd.sendSignal(fd, 65)).toThrow(TypeError)
  const file = openSync('/dev/null', 'r')
  onTestFinished(() => pidfd.close(file))
  expect(() => pidfd.sendSignal(file, 0)).toThrow(expect.objectContaining({ code: 'ERR_NS_PIDFD' }))
  await expect(pidfd.wait(file)).rejects.toMatchObject({ code: 'ERR_NS_PIDFD', errno: 9 })
})

const WAITER = `
import { pidfd } from '@cromwell/ns-native'
pidfd.wait(pidfd.open(process.ppid), { ref: false }).then(() => console.log('ended'))
`

test('waiting need not keep a process alive', async () => {
  const node = spawn(process.execPath, nodeProgram(WAITER), { cwd: packageDirectory })
  expect(await once(node, 'exit')).toEqual([0, null])
})

test('a worker that ends while it waits does not take the process along', async () => {
  const url = new URL('../dist/index.js', import.meta.url).href
  const code = `
    const { parentPort, workerData } = require('node:worker_threads')
    import(workerData).then(({ pidfd }) => {
      for (let i = 0; i < 10; i++) pidfd.wait(pidfd.open(process.pid))
      parentPort.postMessage('waiting')
    })
  `
  const worker = new Worker(code, { eval: true, workerData: url })
  await once(worker, 'message')
  expect(await worker.terminate()).toBe(1)
})
