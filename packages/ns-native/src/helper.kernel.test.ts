import { chmodSync, copyFileSync, readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { findHelper } from './binding.ts'
import { containerSpec, isAlive, runSpec, temporaryDirectory } from './container.test.fixture.ts'
import { encodeLaunch } from './encode.ts'
import { startHelper } from './helper.ts'
import { launch } from './launch.ts'
import { MonitorConnection } from './monitor-connection.ts'
import type { MonitorEvent } from './records.ts'
import { STEPS } from './steps.ts'

/** What a helper answers to bytes, and that it ends. */
function answer(bytes: Buffer): Promise<MonitorEvent | undefined> {
  const helper = startHelper(['ignore', 'ignore', 'ignore'], Buffer.alloc(0))
  return new Promise((resolve) => {
    let last: MonitorEvent | undefined
    const connection = new MonitorConnection(helper, {
      onEvent: (event) => {
        last = event
      },
      onEnd: () => resolve(last),
    })
    connection.send(bytes)
  })
}

const refused = { type: 'fault', step: STEPS.indexOf('config') }
const framed = (records: Buffer) => {
  const head = Buffer.from([0x43, 0x57, 0x4d, 0x31, 0, 0, 0, 0])
  head.writeUInt32LE(records.length, 4)
  return Buffer.concat([head, records])
}

test('a configuration that is none is refused', async () => {
  const zeros = Buffer.alloc(16)
  for (const bytes of [zeros, framed(zeros), framed(Buffer.alloc(12, 0xff))]) {
    expect(await answer(bytes)).toMatchObject(refused)
  }
  const tooLong = framed(zeros)
  tooLong.writeUInt32LE(0x7ffffffc, 4)
  expect(await answer(tooLong)).toMatchObject(refused)
})

test('a record that the helper does not know is refused, unless it need not be understood', async () => {
  const message = encodeLaunch(containerSpec(['true']), {})
  for (const [flags, answered] of [
    [1, { ...refused, errno: constants.errno.EOPNOTSUPP }],
    [0, { type: 'exited', code: 0 }],
  ] as const) {
    // the last number that a record of the configuration can have
    const record = Buffer.from([63, 0, flags, 0, 4, 0, 0, 0, 1, 2, 3, 4])
    expect(await answer(framed(Buffer.concat([message.subarray(8), record])))).toMatchObject(
      answered,
    )
  }
})

test('every cut of a valid configuration is refused', async () => {
  const message = encodeLaunch(containerSpec(['true']), {})
  const offsets: number[] = []
  for (let at = 8; at < message.length; ) {
    offsets.push(at)
    at += 8 + Math.ceil(message.readUInt32LE(at + 4) / 4) * 4
  }
  // whole records too few (the last are cwd, capabilities, process), or part of one
  const last = offsets.findIndex((at) => message.readUInt16LE(at) === 18)
  for (const at of offsets.slice(1, last + 1)) {
    for (const end of [at, at - 4]) {
      expect(await answer(framed(message.subarray(8, end)))).toMatchObject(refused)
    }
  }
})

test('what would be done to the caller’s own namespaces is refused', async () => {
  const spec = containerSpec(['true'])
  for (const missing of ['mount', 'uts', 'user']) {
    const namespaces = spec.namespaces.filter((type) => type !== missing)
    expect(await answer(encodeLaunch({ ...spec, namespaces }, {}))).toMatchObject(refused)
  }
})

test('property: a configuration with damaged bytes never makes the helper crash', async (context) => {
  requires(context, 'plain-user', process.getuid?.() !== 0, 'as root a damaged path could be any')
  // A program that does not exist: whatever the damage, nothing runs. And no filter: a damaged one is
  // another one, which may well forbid to report anything.
  const spec = containerSpec(['/none'])
  const { seccomp: _seccomp, ...program } = spec.process
  const message = encodeLaunch(
    { ...spec, process: program, maskedPaths: [], readonlyPaths: [] },
    {},
  )
  const damage = fc.array(fc.tuple(fc.nat(message.length - 9), fc.integer({ min: 0, max: 255 })), {
    minLength: 1,
    maxLength: 3,
  })
  await fc.assert(
    fc.asyncProperty(damage, async (places) => {
      const damaged = Buffer.from(message)
      for (const [at, byte] of places) damaged[8 + at] = byte
      // a fault, of whatever step, is an answer; a crash would be none
      expect(await answer(damaged)).toMatchObject({ type: 'fault' })
    }),
    { numRuns: 60 },
  )
})

test('a monitor whose launcher goes away before it configured anything ends', async () => {
  const helper = startHelper(['ignore', 'ignore', 'ignore'], Buffer.alloc(0))
  const ended = new Promise((resolve) => {
    const connection = new MonitorConnection(helper, {
      onEvent: () => {},
      onEnd: resolve,
    })
    connection.send(Buffer.from('CW'))
    connection.close()
  })
  await ended
  expect(isAlive(helper.pid)).toBe(false)
})

test('the helper runs from a sealed copy that nothing can change', async (context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
  const child = await launch(containerSpec(['sleep', '1000']), {
    stdio: ['ignore', 'ignore', 'ignore'],
  })
  const maps = readFileSync(`/proc/${child.monitorPid}/maps`, 'utf8')
  expect(maps).toContain('/memfd:cromwell-init')
  // its environment is empty, so is that of PID 1
  expect(readFileSync(`/proc/${child.monitorPid}/environ`, 'utf8')).toBe('')
  expect(readFileSync(`/proc/${child.monitorPid}/cmdline`, 'utf8')).toBe('cromwell-init\0')
  child.kill('SIGKILL')
  await child.wait()
})

test('another helper can be named, and is executed by its path', async (context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
  const helperPath = join(temporaryDirectory(), 'helper')
  copyFileSync(findHelper(), helperPath)
  chmodSync(helperPath, 0o755)
  expect(await runSpec(containerSpec(['true']), { helperPath })).toMatchObject({ exitCode: 0 })
  chmodSync(helperPath, 0o644)
  await expect(runSpec(containerSpec(['true']), { helperPath })).rejects.toMatchObject({
    code: 'ERR_NS_HELPER',
    errno: 13,
    hint: expect.stringContaining('chmod +x'),
  })
})
