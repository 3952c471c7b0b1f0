import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A real terminal with a shell in it, driven from outside. */
export interface Pane {
  /** Type keys, by tmux's names (`Enter`, `C-c`) or as text. */
  type(...keys: string[]): void
  /** What is on the screen. */
  screen(): string
  /** Wait until the screen matches; rejects with the screen after 20 seconds. */
  until(expected: RegExp): Promise<RegExpExecArray>
  resize(columns: number, rows: number): void
  /** The mode of the terminal (`stty -g`). */
  mode(): string
  close(): void
}

/** Start a shell in a terminal of a tmux server of its own; needs tmux. */
export function openPane(env: NodeJS.ProcessEnv, size = { columns: 100, rows: 30 }): Pane {
  const scratch = mkdtempSync(join(tmpdir(), 'cromwell-tmux-'))
  const tmux = (...args: string[]): string => {
    const command = ['-S', join(scratch, 'socket'), '-f', '/dev/null', ...args]
    const { TMUX: _, ...outside } = env
    const { status, stdout, stderr } = spawnSync('tmux', command, {
      env: { ...outside, PS1: '$ ', LC_ALL: 'C.UTF-8' },
      encoding: 'utf8',
    })
    if (status !== 0) throw new Error(`tmux ${args.join(' ')}: ${stderr}`)
    return stdout
  }
  tmux('new-session', '-d', '-x', `${size.columns}`, '-y', `${size.rows}`, 'sh')

  const screen = () => tmux('capture-pane', '-p')
  return {
    screen,
    type: (...keys) => {
      tmux('send-keys', ...keys)
    },
    until: async (expected) => {
      for (let attempt = 0; attempt < 400; attempt++) {
        const found = expected.exec(screen())
        if (found !== null) return found
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      throw new Error(`${expected} does not appear on:\n${screen()}`)
    },
    resize: (columns, rows) => {
      tmux('resize-window', '-x', `${columns}`, '-y', `${rows}`)
    },
    mode: () => {
      const terminal = tmux('display-message', '-p', '#{pane_tty}').trim()
      return spawnSync('stty', ['-g', '-F', terminal], { encoding: 'utf8' }).stdout
    },
    close: () => {
      tmux('kill-server')
      rmSync(scratch, { recursive: true, force: true })
    },
  }
}
