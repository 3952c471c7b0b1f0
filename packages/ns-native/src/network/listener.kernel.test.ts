import { readdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { beforeEach, expect, test } from 'vitest'
import { collect, containerSpec, eventually, runSpec } from '../container.test.fixture.ts'
import { launch } from '../launch.ts'

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

/** A shell that says something to a port inside and prints what it hears. */
const talk = (port: number, host = '127.0.0.1') => [
  '/bin/bash',
  '-c',
  `exec 3<>/dev/tcp/${host}/${port} && echo hello >&3 && cat <&3`,
]

const echo = () =>
  createServer((socket) => socket.once('data', (data) => socket.end(`got ${data}`)))

test('a server of this process is reached inside, by a program that runs before it accepts', async () => {
  const listen = [{ port: 80 }, { host: '::1', port: 8080 }]
  for (const [index, args] of [talk(80), talk(8080, '::1')].entries()) {
    const spec = containerSpec(args, { network: { listen } })
    const box = await launch(spec, { stdio: ['ignore', 'pipe', 'pipe'] })
    await new Promise((resolve) => setTimeout(resolve, 20))
    const [listener] = box.network.listeners.slice(index)
    await listener?.serve(echo())
    expect(await collect(box.stdout)).toBe('got hello\n')
    expect(await box.wait()).toMatchObject({ exitCode: 0 })
  }
})

test('port 0 is a free port, and is told', async () => {
  const spec = containerSpec(['sleep', '1000'], { network: { listen: [{ port: 0 }] } })
  const box = await launch(spec, { stdio: ['ignore', 'ignore', 'ignore'] })
  const [listener] = box.network.listeners
  expect(listener).toMatchObject({ host: '127.0.0.1' })
  expect(listener?.port).toBeGreaterThan(1023)
  const server = echo()
  await listener?.serve(server)
  expect(server.address()).toMatchObject({ address: '127.0.0.1', port: listener?.port })
  const closed = new Promise((resolve) => server.once('close', resolve))
  box.kill('SIGKILL')
  await box.wait()
  await closed
})

test('sockets that cannot listen are an error with step, index and address', async () => {
  const run = (listen: { host: string; port: number }[]) =>
    runSpec(containerSpec(['true'], { network: { listen } }))
  const one = { host: '127.0.0.1', port: 80 }
  await expect(run([one, { host: '192.0.2.1', port: 80 }])).rejects.toMatchObject({
    code: 'ERR_NS_SETUP',
    step: 'net.listen',
    index: 1,
    syscall: 'bind',
    path: '192.0.2.1:80',
    hint: expect.stringContaining('127.0.0.1'),
  })
  await expect(run([one, one])).rejects.toMatchObject({ step: 'net.listen', index: 1, errno: 98 })
})

test('no descriptor is left behind, whether or not the sockets were served', async () => {
  const count = () => readdirSync('/proc/self/fd').length
  const listen = [{ port: 1 }, { port: 2 }, { port: 3 }]
  const run = async (serve: boolean) => {
    const spec = containerSpec(['true'], { network: { listen } })
    const box = await launch(spec, { stdio: ['ignore', 'ignore', 'ignore'] })
    // the program has ended by now, or not: serving is right either way
    if (serve) await box.network.listeners[0]?.serve(echo())
    await box.wait()
    if (serve) await box.network.listeners[1]?.serve(echo())
  }
  await run(true)
  const before = count()
  for (let i = 0; i < 5; i++) await run(i % 2 === 0)
  await eventually(() => count() <= before)
})
