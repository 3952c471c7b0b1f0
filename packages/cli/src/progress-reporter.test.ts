import { describe, expect, it } from 'vitest'
import type { ProgressEvent } from './layer-progress.ts'
import { createBarReporter, createLineReporter } from './progress-reporter.ts'

const base = `sha256:${'a'.repeat(64)}`
const top = `sha256:${'b'.repeat(64)}`
const resolved: ProgressEvent = {
  type: 'resolved',
  layers: [
    { digest: base, size: 2_000_000 },
    { digest: top, size: 1000 },
  ],
}

/** A screen that keeps what is written, of a size that a test may change. */
function screen(columns = 80, rows = 24) {
  const written: string[] = []
  return {
    columns,
    rows,
    write: (text: string) => {
      written.push(text)
    },
    size() {
      return { columns: this.columns, rows: this.rows }
    },
    /** What was written since the last call. */
    take: () => written.splice(0).join(''),
  }
}

describe('a pull that is not on a terminal', () => {
  it('prints one line for each change of state and none for bytes', () => {
    const out = screen()
    const reporter = createLineReporter(out)
    reporter.event(resolved)
    reporter.event({ type: 'layer-exists', digest: top })
    reporter.event({ type: 'layer-start', digest: base, size: 2_000_000, offset: 0 })
    for (let received = 0; received < 2_000_000; received += 1000) {
      reporter.event({ type: 'layer-progress', digest: base, received, size: 2_000_000 })
    }
    const reason = 'connection reset'
    reporter.event({ type: 'layer-retry', digest: base, attempt: 1, delayMs: 1000, reason })
    reporter.event({ type: 'layer-start', digest: base, size: 2_000_000, offset: 1_000_000 })
    reporter.event({ type: 'layer-verify', digest: base })
    reporter.event({ type: 'layer-done', digest: base })
    reporter.event({ type: 'layer-done', digest: 'sha256:of-another-pull' })
    reporter.end()
    expect(out.take()).toBe(
      [
        'aaaaaaaaaaaa: Pulling fs layer',
        'bbbbbbbbbbbb: Pulling fs layer',
        'bbbbbbbbbbbb: Already exists',
        'aaaaaaaaaaaa: Downloading',
        'aaaaaaaaaaaa: Retrying in 1 second (connection reset)',
        'aaaaaaaaaaaa: Downloading',
        'aaaaaaaaaaaa: Verifying Checksum',
        'aaaaaaaaaaaa: Pull complete',
        '',
      ].join('\n'),
    )
  })
})

describe('a pull on a terminal', () => {
  it('redraws its lines in place and leaves the cursor below them', () => {
    const terminal = screen()
    let now = 0
    const reporter = createBarReporter(terminal, () => now)
    reporter.event(resolved)
    expect(terminal.take()).toBe(
      'aaaaaaaaaaaa: Pulling fs layer\u001b[K\nbbbbbbbbbbbb: Pulling fs layer\u001b[K\n',
    )
    reporter.event({ type: 'layer-start', digest: base, size: 2_000_000, offset: 0 })
    terminal.take()
    now += 200
    reporter.event({ type: 'layer-progress', digest: base, received: 1_000_000, size: 2_000_000 })
    expect(terminal.take()).toBe(
      '\r\u001b[2A' +
        'aaaaaaaaaaaa: Downloading [=============>            ]      1MB/2MB\u001b[K\n' +
        'bbbbbbbbbbbb: Pulling fs layer\u001b[K\n',
    )
    reporter.end()
    reporter.end()
    expect(terminal.take().match(/\u001b\[2A/g)).toHaveLength(1)
  })

  it('draws bytes at most every 80 ms, and the last of them too', async () => {
    const terminal = screen()
    const reporter = createBarReporter(terminal)
    reporter.event(resolved)
    reporter.event({ type: 'layer-start', digest: base, size: 2_000_000, offset: 0 })
    terminal.take()
    for (let received = 0; received <= 500_000; received += 1000) {
      reporter.event({ type: 'layer-progress', digest: base, received, size: 2_000_000 })
    }
    await new Promise((resolve) => setTimeout(resolve, 150))
    const frames = terminal.take()
    expect(frames.match(/\u001b\[2A/g)?.length).toBeLessThan(5)
    expect(frames).toContain('500kB/2MB')
    reporter.end()
  })

  it('counts the rows that a narrower terminal has wrapped its lines into', () => {
    const terminal = screen(120)
    let now = 0
    const reporter = createBarReporter(terminal, () => now)
    reporter.event(resolved)
    reporter.event({ type: 'layer-start', digest: base, size: 2_000_000, offset: 0 })
    terminal.take()
    terminal.columns = 40
    now += 200
    reporter.event({ type: 'layer-progress', digest: base, received: 1_000_000, size: 2_000_000 })
    // 95 columns wrapped at 40 are three rows, 30 are one
    expect(terminal.take()).toBe(
      '\r\u001b[4A\u001b[J' +
        'aaaaaaaaaaaa: Downloading      1MB/2MB\u001b[K\n' +
        'bbbbbbbbbbbb: Pulling fs layer\u001b[K\n',
    )
  })

  it('takes the unpacking off the screen when it is over', () => {
    const terminal = screen()
    const reporter = createBarReporter(terminal, () => 0)
    reporter.unpacking({ type: 'unpack-start', digest: base, size: 1000 })
    expect(terminal.take()).toBe(
      'aaaaaaaaaaaa: Extracting [>                         ]       0B/1kB\u001b[K\n',
    )
    reporter.unpacking({ type: 'unpack-done', digest: base })
    terminal.take()
    reporter.end()
    reporter.end()
    expect(terminal.take()).toBe('\r\u001b[1A\u001b[J')
  })

  it('prints other lines above the bars', () => {
    const terminal = screen()
    const reporter = createBarReporter(terminal, () => 0)
    reporter.line('latest: Pulling from library/alpine')
    expect(terminal.take()).toBe('latest: Pulling from library/alpine\n')
    reporter.event(resolved)
    terminal.take()
    reporter.line('a note')
    expect(terminal.take()).toBe(
      '\r\u001b[2A\u001b[Ja note\n' +
        'aaaaaaaaaaaa: Pulling fs layer\u001b[K\nbbbbbbbbbbbb: Pulling fs layer\u001b[K\n',
    )
  })
})
