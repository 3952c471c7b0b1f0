import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type DbusMessage, decodeMessage, encodeCall } from './dbus.ts'
import { scopeCalls, scopeListener, startScope } from './systemd-scope.ts'

const message: DbusMessage = { type: 'signal', replyTo: 0, member: '', errorName: '', body: [] }
const jobOf = (result: string): DbusMessage => ({
  ...message,
  member: 'JobRemoved',
  body: [1, '/job/1', 'a.scope', result],
})
const accepted: DbusMessage = { ...message, type: 'return', replyTo: 4, body: ['/job/1'] }

test('a scope is there when its job is done, whichever is heard of first', () => {
  const hear = scopeListener(4)
  expect(hear(accepted)).toBeUndefined()
  expect(hear({ ...jobOf('done'), body: [2, '/job/2', 'b.scope', 'done'] })).toBeUndefined()
  expect(hear(jobOf('done'))).toBe(true)
  const other = scopeListener(4)
  expect(other(jobOf('done'))).toBeUndefined()
  expect(other(accepted)).toBe(true)
})

test('a job that failed and a call that was refused are errors', () => {
  const hear = scopeListener(4)
  hear(accepted)
  expect(() => hear(jobOf('failed'))).toThrow('the job ended as failed')
  const refused: DbusMessage = {
    ...message,
    type: 'error',
    replyTo: 4,
    errorName: 'org.x.No',
    body: ['why'],
  }
  expect(() => scopeListener(4)(refused)).toThrow('org.x.No: why')
})

// As dbus-daemon and systemd take it; the same bytes as those of `busctl --user call`.
test('a call is encoded as the specification says', () => {
  const [call] = scopeCalls('x.scope', 42, true).slice(-1)
  const bytes = call && encodeCall(call, 7)
  expect(bytes?.toString('hex')).toMatchInlineSnapshot(
    `"6c010001b800000007000000b600000001016f00190000002f6f72672f667265656465736b746f702f73797374656d64310000000000000002017300200000006f72672e667265656465736b746f702e73797374656d64312e4d616e616765720000000000000000030173001200000053746172745472616e7369656e74556e697400000000000006017300180000006f72672e667265656465736b746f702e73797374656d6431000000000000000008016700107373612873762961287361287376292900000007000000782e73636f706500040000006661696c0000000093000000000000000b0000004465736372697074696f6e00017300001d0000006c696d697473206f66206120636f6e7461696e65642070726f6365737300000004000000504944730002617500000000040000002a0000000800000044656c65676174650001620001000000000000000b000000436f6c6c6563744d6f6465000173000012000000696e6163746976652d6f722d6661696c6564000000000000"`,
  )
})

test('what cannot be understood is an error', () => {
  expect(decodeMessage(Buffer.alloc(15))).toBeUndefined()
  expect(() => decodeMessage(Buffer.alloc(16))).toThrow('little endian')
  const huge = Buffer.alloc(16)
  huge.writeUInt8(0x6c, 0)
  huge.writeUInt32LE(0x7fffffff, 4)
  expect(() => decodeMessage(huge)).toThrow('more than a megabyte')
})

async function fakeBus(serve: (socket: Socket) => void): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'bus-'))
  const path = join(directory, 'bus')
  const server = createServer(serve)
  onTestFinished(() => {
    server.close()
    rmSync(directory, { recursive: true })
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  return path
}

test.each<[string, (socket: Socket) => void]>([
  ['authentication failed: REJECTED', (socket) => socket.end('REJECTED EXTERNAL\r\n')],
  ['the connection was closed', (socket) => socket.end()],
  ['not little endian', (socket) => socket.write(`OK 1\r\n${'B'.repeat(40)}`)],
])('a bus that answers otherwise: %s', async (why, serve) => {
  const socket = await fakeBus(serve)
  const manager = { sockets: [{ path: socket, bus: true }], group: '' }
  await expect(startScope(manager, process.pid)).rejects.toMatchObject({
    code: 'ERR_NS_SETUP',
    step: 'cgroup',
    message: expect.stringContaining(why),
  })
})
