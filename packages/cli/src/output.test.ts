import { spawn, spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { Output } from './output.ts'

describe('Output', () => {
  it('writes text completely, without a stream', () => {
    const directory = mkdtempSync(join(tmpdir(), 'cromwell-output-'))
    const path = join(directory, 'out')
    const fd = openSync(path, 'w')
    try {
      const output = new Output(fd)
      output.write('größe\n'.repeat(50_000))
      output.write('')
      expect(readFileSync(path, 'utf8')).toBe('größe\n'.repeat(50_000))
      expect(output.isTerminal).toBe(false)
    } finally {
      closeSync(fd)
      rmSync(directory, { recursive: true })
    }
  })

  it('says so when the reader is gone', async () => {
    const { stderr, status } = await withClosedReader(`
      try { for (;;) output.write('x'.repeat(4096)) } catch (error) { console.error(error.name) }
    `)
    expect(stderr).toBe('OutputClosedError\n')
    expect(status).toBe(0)
  })

  it('waits for a slow reader of a non-blocking pipe instead of failing with EAGAIN', () => {
    // process.stdout makes the pipe non-blocking; the shell's reader starts late
    const writer = program(`process.stdout; output.write('y'.repeat(300_000))`)
    const result = spawnSync(
      'sh',
      ['-c', `"$0" --input-type=module -e "$1" | { sleep 0.3; wc -c; }`, process.execPath, writer],
      { encoding: 'utf8' },
    )
    expect(result.stderr).toBe('')
    expect(result.stdout.trim()).toBe('300000')
  })
})

/** A program with an `output` on stdout, in the subset of TypeScript that this Node can erase itself. */
function program(body: string): string {
  return `import { Output } from ${JSON.stringify(compiled())}; const output = new Output(1); ${body}`
}

function compiled(): string {
  return pathToFileURL(join(import.meta.dirname, '..', 'dist', 'output.js')).href
}

async function withClosedReader(body: string): Promise<{ stderr: string; status: number | null }> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program(body)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.stdout.destroy()
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk
  })
  const status = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { stderr, status }
}
