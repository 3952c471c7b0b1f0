import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { checkProcess, readProcessIdentity } from './identity.ts'
import { NOBODY, SimulatedHost } from './simulated-host.test.fixture.ts'

function identityOf(pid: number, host: SimulatedHost) {
  const identity = readProcessIdentity(pid, host.options)
  if (identity === undefined) throw new Error(`the simulation has no process ${pid}`)
  return identity
}

describe('an identity read on this machine', () => {
  it('is the same when read again, and runs', () => {
    const identity = readProcessIdentity(process.pid)
    if (identity === undefined) throw new Error('this process exists')
    expect(readProcessIdentity(process.pid)).toEqual(identity)
    expect(checkProcess(identity)).toEqual({ state: 'running' })
  })

  it('does not exist for a pid that nobody has', () => {
    expect(readProcessIdentity(NOBODY)).toBeUndefined()
  })

  it.each([0, -1, 1.5, Number.NaN, 4_194_305])('is never read for the pid %s', (pid) => {
    expect(() => readProcessIdentity(pid)).toThrow(
      expect.objectContaining({ code: 'ERR_PIDSTORE_INVALID_PID' }),
    )
  })

  it('has exited when another process has the pid now', () => {
    const identity = readProcessIdentity(process.pid)
    if (identity === undefined) throw new Error('this process exists')
    expect(checkProcess({ ...identity, startTime: identity.startTime - 1 })).toEqual({
      state: 'exited',
      reason: `pid ${process.pid} belongs to a later process`,
    })
  })

  it('has exited when only a zombie is left', async () => {
    // The shell becomes a sleep that does not know it has a child to wait for.
    const parent = spawn('sh', ['-c', 'sleep 0.2 & echo $!; exec sleep 60'])
    try {
      const [line] = await once(parent.stdout, 'data')
      const identity = readProcessIdentity(Number(line))
      if (identity === undefined) throw new Error('the child has not been waited for')
      await expect
        .poll(() => checkProcess(identity), { timeout: 5000, interval: 20 })
        .toEqual({ state: 'exited', reason: 'it is a zombie' })
    } finally {
      parent.kill('SIGKILL')
    }
  })
})

describe('checkProcess', () => {
  it('says exited after a reboot, even if pid and start time fit', () => {
    using host = new SimulatedHost()
    host.start(NOBODY, { startTime: 500 })
    const identity = identityOf(NOBODY, host)
    host.set({ bootId: '22222222-2222-4222-8222-222222222222' })
    expect(checkProcess(identity, host.options)).toEqual({
      state: 'exited',
      reason: 'the machine has been started anew since',
    })
  })

  it('says elsewhere on another machine', () => {
    using here = new SimulatedHost()
    using there = new SimulatedHost({
      bootId: '22222222-2222-4222-8222-222222222222',
      hostname: 'host-b',
      machineId: 'b'.repeat(32),
    })
    here.start(NOBODY, { startTime: 500 })
    expect(checkProcess(identityOf(NOBODY, here), there.options)).toEqual({
      state: 'elsewhere',
      reason: 'it belongs to the machine "host-a"',
    })
  })

  it('says elsewhere for a node made from the same image, and for another "localhost"', () => {
    const bootId = '22222222-2222-4222-8222-222222222222'
    using here = new SimulatedHost()
    here.start(NOBODY, { startTime: 500 })
    const identity = identityOf(NOBODY, here)
    using clone = new SimulatedHost({ bootId, hostname: 'host-b' })
    expect(checkProcess(identity, clone.options).state).toBe('elsewhere')
    using namesake = new SimulatedHost({ bootId, machineId: 'b'.repeat(32) })
    expect(checkProcess(identity, namesake.options).state).toBe('elsewhere')
  })

  it('goes by the name alone on machines without a machine id', () => {
    using host = new SimulatedHost({ machineId: 'uninitialized' })
    host.start(NOBODY, { startTime: 500 })
    const identity = identityOf(NOBODY, host)
    expect(identity.machineId).toBe('')
    host.set({ bootId: '22222222-2222-4222-8222-222222222222' })
    expect(checkProcess(identity, host.options).state).toBe('exited')
  })

  it('never shows the machine id itself', () => {
    using host = new SimulatedHost()
    expect(identityOf(process.pid, host).machineId).toMatch(/^(?!a{32})[\da-f]{32}$/)
  })

  it('says elsewhere in another pid namespace, even if pid and start time fit', () => {
    using host = new SimulatedHost()
    host.start(NOBODY, { startTime: 500 })
    const identity = identityOf(NOBODY, host)
    host.set({ pidNamespace: 4_026_532_000 })
    expect(checkProcess(identity, host.options).state).toBe('elsewhere')
  })

  it('says elsewhere when /proc hides who has the pid', () => {
    using host = new SimulatedHost()
    host.start(process.ppid, { startTime: 500 })
    const identity = identityOf(process.ppid, host)
    host.end(process.ppid)
    expect(checkProcess(identity, host.options)).toEqual({
      state: 'elsewhere',
      reason: `${host.procDir} hides who has pid ${process.ppid}`,
    })
    expect(() => readProcessIdentity(process.ppid, host.options)).toThrow(
      expect.objectContaining({ code: 'ERR_PIDSTORE_PROC' }),
    )
  })

  it.each([
    ['86400 0', 8_640_000],
    ['-100 0', -10_000],
    // The kernel adds nanoseconds and rounds down: 500.3 ticks + 0.9 are 501, not 500.
    ['0 9000000', 1],
  ])('knows a process again from a time namespace %s away', (bootTimeOffset, shift) => {
    using host = new SimulatedHost()
    host.start(NOBODY, { startTime: 20_000 })
    const identity = identityOf(NOBODY, host)
    host.set({ bootTimeOffset })
    host.start(NOBODY, { startTime: 20_000 + shift })
    expect(checkProcess(identity, host.options)).toEqual({ state: 'running' })
    host.start(NOBODY, { startTime: 20_000 + shift + 1 })
    expect(checkProcess(identity, host.options).state).toBe('exited')
  })
})

describe('a /proc that is of no use', () => {
  it('is an error when it is not there', () => {
    expect(() => readProcessIdentity(process.pid, { procDir: '/nonexistent' })).toThrow(
      expect.objectContaining({ code: 'ERR_PIDSTORE_PROC', hint: expect.any(String) }),
    )
  })

  it('is an error when it is the one of a parent pid namespace', () => {
    using host = new SimulatedHost({ nsPid: '4242\t1' })
    expect(() => readProcessIdentity(process.pid, host.options)).toThrow(
      expect.objectContaining({ code: 'ERR_PIDSTORE_PROC' }),
    )
  })
})
