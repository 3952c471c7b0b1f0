import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Ending } from './exit-status.ts'
import { type ForegroundContainer, holdInForeground } from './foreground.ts'
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

describe('holdInForeground', () => {
  it('returns the container’s status', async () => {
    const { container } = recorder(Promise.resolve({ exitCode: null, signal: 'SIGKILL' }))
    expect(await holdInForeground(container, { suspendable: true })).toBe(137)
  })

  it('passes signals on while it runs, and only then', async () => {
    const { container, signals } = recorder()
    const status = holdInForeground(container, { suspendable: false })
    await sleep(20)
    process.kill(process.pid, 'SIGTSTP')
    process.kill(process.pid, 'SIGUSR2')
    expect(await status).toBe(7)
    expect(signals).toEqual(['SIGUSR2'])
    expect(process.listenerCount('SIGUSR2')).toBe(0)
  })

  it('tells the container the size of the terminal at first and after each change', async () => {
    const { container, sizes } = recorder()
    let columns = 80
    const terminalSize = () => ({ columns, rows: 24 })
    const status = holdInForeground(container, { suspendable: false, terminalSize })
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
