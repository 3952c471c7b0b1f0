import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { FORWARDED_SIGNALS, forwardSignals, interruptibly } from './signals.ts'

describe('FORWARDED_SIGNALS', () => {
  it('are all that can be caught and mean something to the container', () => {
    for (const signal of [
      'SIGINT',
      'SIGTERM',
      'SIGHUP',
      'SIGQUIT',
      'SIGUSR1',
      'SIGUSR2',
      'SIGCONT',
    ]) {
      expect(FORWARDED_SIGNALS).toContain(signal)
    }
    for (const signal of [
      'SIGCHLD',
      'SIGPIPE',
      'SIGURG',
      'SIGSTOP',
      'SIGKILL',
      'SIGWINCH',
      'SIGSEGV',
    ]) {
      expect(FORWARDED_SIGNALS).not.toContain(signal)
    }
  })
})

describe('forwardSignals', () => {
  it('passes signals on until it is told to stop', async () => {
    const seen: string[] = []
    const stop = forwardSignals((signal) => seen.push(signal))
    for (const signal of ['SIGUSR2', 'SIGTERM'] as const) {
      const arrived = once(process, signal)
      process.kill(process.pid, signal)
      await arrived
    }
    stop()
    expect(seen).toEqual(['SIGUSR2', 'SIGTERM'])
    for (const signal of FORWARDED_SIGNALS) expect(process.listeners(signal)).not.toContain(stop)
    expect(process.listenerCount('SIGUSR2')).toBe(0)
  })
})

describe('interruptibly', () => {
  it('aborts on the first signal, and leaves the second to its usual effect', async () => {
    const before = process.listenerCount('SIGHUP')
    const work = async (signal: AbortSignal) => {
      process.kill(process.pid, 'SIGHUP')
      await once(signal, 'abort')
      expect(process.listenerCount('SIGHUP')).toBe(before)
      throw new Error('aborted')
    }
    await expect(interruptibly(work)).rejects.toMatchObject({
      name: 'InterruptedError',
      signal: 'SIGHUP',
    })
  })

  it('lets results and other errors through, and listens no longer', async () => {
    const before = process.listenerCount('SIGINT')
    expect(await interruptibly(async () => 7)).toBe(7)
    const fail = async () => {
      throw new Error('no such image')
    }
    await expect(interruptibly(fail)).rejects.toThrow('no such image')
    expect(process.listenerCount('SIGINT')).toBe(before)
  })
})
