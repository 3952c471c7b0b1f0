import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Ending } from './exit-status.ts'
import { type ForegroundContainer, runInForeground } from './foreground.ts'
import type { TerminalSize } from './terminal.ts'

/** What the foreground does to a container, and the end that a signal gives it. */
function recorder(end: Promise<Ending> = new Promise(() => {})) {
  const signals: NodeJS.Signals[] = []
  const sizes: TerminalSize[] = []
  let finish: (ending: Ending) => void = () => {}
  const ended = new Promise<Ending>((resolve) => {
    finish = resolve
  })
  const container: ForegroundContainer = {
    wait: () => Promise.race([end, ended]),
    kill: (signal) => {
      signals.push(signal)
      if (signal === 'SIGUSR2') finish({ exitCode: 7, signal: null })
    },
    resize: (size) => {
      sizes.push(size)
    },
  }
  return { container, signals, sizes }
}

describe('runInForeground', () => {
  it('returns the container’s status', async () => {
    const { container } = recorder(Promise.resolve({ exitCode: null, signal: 'SIGKILL' }))
    expect(await runInForeground({ start: async () => container, suspendable: true })).toBe(137)
  })

  it('passes signals on while it runs, and only then', async () => {
    const { container, signals } = recorder()
    const status = runInForeground({ start: async () => container, suspendable: false })
    await sleep(20)
    process.kill(process.pid, 'SIGTSTP')
    process.kill(process.pid, 'SIGUSR2')
    expect(await status).toBe(7)
    expect(signals).toEqual(['SIGUSR2'])
    expect(process.listenerCount('SIGUSR2')).toBe(0)
  })

  it('keeps signals for a container that runs before we know it', async () => {
    const { container, signals } = recorder()
    const start = async () => {
      process.kill(process.pid, 'SIGUSR1')
      process.kill(process.pid, 'SIGINT')
      process.kill(process.pid, 'SIGUSR2')
      await sleep(50)
      return container
    }
    expect(await runInForeground({ start, suspendable: true })).toBe(7)
    expect(signals.toSorted()).toEqual(['SIGINT', 'SIGUSR1', 'SIGUSR2'])
  })

  it('gives up on Ctrl-C when the start goes on', async () => {
    const start = async (signal: AbortSignal): Promise<never> => {
      process.kill(process.pid, 'SIGINT')
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      throw new Error('aborted')
    }
    await expect(runInForeground({ start, suspendable: true })).rejects.toMatchObject({
      name: 'InterruptedError',
      signal: 'SIGINT',
    })
  })

  it('does not hide why it did not come to run', async () => {
    const start = async (): Promise<never> => {
      throw new Error('no such image')
    }
    await expect(runInForeground({ start, suspendable: true })).rejects.toThrow('no such image')
  })

  it('tells the container the size of the terminal at first and after each change', async () => {
    const { container, sizes } = recorder()
    let columns = 80
    const terminalSize = () => ({ columns, rows: 24 })
    const status = runInForeground({
      start: async () => container,
      suspendable: false,
      terminalSize,
    })
    await sleep(20)
    columns = 100
    process.kill(process.pid, 'SIGWINCH')
    await sleep(20)
    process.kill(process.pid, 'SIGUSR2')
    await status
    expect(sizes).toEqual([
      { columns: 80, rows: 24 },
      { columns: 100, rows: 24 },
    ])
  })
})
