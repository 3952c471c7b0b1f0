import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hasExited, parseProcessStat, readProcessStat } from './process-stat.ts'
import { NOBODY, SimulatedHost } from './simulated-host.test.fixture.ts'

const TAIL = '1 1 1 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 3 0 98765 2854912 223'

describe('parseProcessStat', () => {
  it('reads state, threads and start time', () => {
    expect(parseProcessStat(`42 (sleep) S ${TAIL}\n`)).toEqual({
      state: 'S',
      threads: 3,
      startTime: 98765,
    })
  })

  it('is not fooled by a program that calls itself "x) R 1 1 1"', () => {
    expect(parseProcessStat(`42 (x) R 1 1 1) Z ${TAIL}\n`)?.state).toBe('Z')
  })

  it('property: any program name gives the same answer', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 15, unit: 'binary' }), (name) => {
        expect(parseProcessStat(`42 (${name}) S ${TAIL}\n`)?.startTime).toBe(98765)
      }),
    )
  })

  it('property: any text at all gives a stat or undefined', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        parseProcessStat(text)
      }),
    )
  })

  it('refuses a line that is cut off', () => {
    expect(parseProcessStat('42 (sleep) S 1 1')).toBeUndefined()
    expect(parseProcessStat('')).toBeUndefined()
  })
})

describe('hasExited', () => {
  it('counts a zombie as exited', () => {
    expect(hasExited({ state: 'Z', threads: 1, startTime: 1 })).toBe(true)
    expect(hasExited({ state: 'X', threads: 0, startTime: 1 })).toBe(true)
  })

  it('counts a process whose main thread has ended before its other threads as running', () => {
    expect(hasExited({ state: 'Z', threads: 2, startTime: 1 })).toBe(false)
  })
})

describe('readProcessStat', () => {
  it('finds this very process', () => {
    expect(readProcessStat('/proc', process.pid)).toMatchObject({
      startTime: expect.any(Number),
    })
  })

  it('says gone when no process has the pid', () => {
    expect(readProcessStat('/proc', NOBODY)).toBe('gone')
  })

  it('says hidden, not gone, when the kernel knows the pid and /proc does not show it', () => {
    using host = new SimulatedHost()
    expect(readProcessStat(host.procDir, process.ppid)).toBe('hidden')
  })

  it('throws, and does not say gone, when it cannot look', () => {
    using host = new SimulatedHost()
    // A component of the path that is not a directory: neither gone nor hidden.
    expect(() => readProcessStat(`${host.machineIdFile}/proc`, NOBODY)).toThrow(
      expect.objectContaining({ code: 'ERR_PIDSTORE_PROC' }),
    )
  })
})
