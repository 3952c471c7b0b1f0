import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { acquireLock, withLock } from './lock.ts'
import { ownIdentity, processState } from './process-identity.ts'

let directory: string
let lock: string
const children: ChildProcess[] = []

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cromwell-lock-'))
  lock = join(directory, 'lock')
})

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'close')
    }
  }
  await rm(directory, { recursive: true, force: true })
})

describe('acquireLock', () => {
  it('lets one in at a time within a process and leaves nothing behind', async () => {
    let inside = 0
    let most = 0
    const visit = () =>
      withLock(lock, {}, async () => {
        most = Math.max(most, ++inside)
        await new Promise((resolve) => setTimeout(resolve, 1))
        inside -= 1
      })
    await Promise.all(Array.from({ length: 8 }, visit))
    expect(most).toBe(1)
    expect(await readdir(directory)).toEqual([])
  })

  it('is released once, and never when it is not ours any more', async () => {
    const first = await acquireLock(lock)
    await first.release()
    const second = await acquireLock(lock)
    await first.release()
    expect(await readdir(directory)).toEqual(['lock'])
    await second.release()
    expect(await readdir(directory)).toEqual([])
  })

  it('is taken over from a holder that was killed', async () => {
    const child = run(`await acquireLock(path); console.log('held'); setInterval(() => {}, 1000)`)
    await printed(child)
    await expect(acquireLock(lock, { timeoutMs: 100 })).rejects.toMatchObject({
      code: 'ERR_REGISTRY_LOCKED',
      message: expect.stringContaining(`process ${child.pid}`),
      path: lock,
    })
    child.kill('SIGKILL')
    await once(child, 'close')
    await (await acquireLock(lock, { timeoutMs: 5000 })).release()
    expect(await readdir(directory)).toEqual([])
  })

  it('is not fooled by a pid that was given out again', async () => {
    await hold({ ...ownIdentity(), startTime: '1' })
    await (await acquireLock(lock, { timeoutMs: 5000 })).release()
  })

  it('is taken over from another boot or another machine only after a silence', async () => {
    const holder = { ...ownIdentity(), bootId: 'another' }
    await hold(holder)
    await expect(acquireLock(lock, { timeoutMs: 100 })).rejects.toThrow('holds it')
    const past = new Date(Date.now() - 31_000)
    await utimes(lock, past, past)
    await (await acquireLock(lock, { timeoutMs: 5000 })).release()
  })

  it('is taken over from a crash that left it empty, after a silence', async () => {
    await writeFile(lock, '')
    await expect(acquireLock(lock, { timeoutMs: 100 })).rejects.toThrow('holds it')
    const past = new Date(Date.now() - 31_000)
    await utimes(lock, past, past)
    await (await acquireLock(lock, { timeoutMs: 5000 })).release()
  })

  it('gets over a process that died while taking the lock over', async () => {
    const dead = { ...ownIdentity(), startTime: '1' }
    await hold(dead, 'aaaaaaaaaaaa')
    await writeFile(`${lock}.aaaaaaaaaaaa`, JSON.stringify({ id: 'bbbbbbbbbbbb', ...dead }))
    await (await acquireLock(lock, { timeoutMs: 5000 })).release()
    expect(await readdir(directory)).toEqual([])
  })

  it('stops waiting when the signal is aborted', async () => {
    const held = await acquireLock(lock)
    const waiting = acquireLock(lock, { signal: AbortSignal.timeout(30) })
    await expect(waiting).rejects.toMatchObject({ code: 'ERR_REGISTRY_ABORTED' })
    await held.release()
    expect(await readdir(directory)).toEqual([])
  })

  it('excludes processes from each other even while holders are killed', async () => {
    const counter = join(directory, 'counter')
    await writeFile(counter, '0')
    // Each visit reads, waits and writes; two at a time would lose a count. Some die in there, before writing.
    const script = `
      for (let i = 0; i < 25; i++) await withLock(path, {}, async () => {
        const value = Number(readFileSync('${counter}', 'utf8'))
        await new Promise((resolve) => setTimeout(resolve, 1))
        if (i === 12 && process.argv[1] === 'die') process.kill(process.pid, 'SIGKILL')
        writeFileSync('${counter}', String(value + 1))
      })`
    const workers = ['live', 'die', 'die', 'live'].map((fate) => run(script, fate))
    await Promise.all(workers.map((child) => once(child, 'close')))
    expect(workers.map(({ signalCode }) => signalCode)).toEqual([null, 'SIGKILL', 'SIGKILL', null])
    expect(await readFile(counter, 'utf8')).toBe(String(2 * 25 + 2 * 12))
  })
})

describe('processState', () => {
  it('tells the living from the dead and from those it cannot know', async () => {
    expect(processState(ownIdentity())).toBe('alive')
    expect(processState({ ...ownIdentity(), pidNamespace: 'pid:[1]' })).toBe('unknown')
    const child = run(`console.log('up'); setInterval(() => {}, 1000)`)
    await printed(child)
    const stat = await readFile(`/proc/${child.pid}/stat`, 'latin1')
    const startTime = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
    const identity = { ...ownIdentity(), pid: child.pid ?? 0, startTime }
    expect(processState(identity)).toBe('alive')
    child.kill('SIGKILL')
    await once(child, 'close')
    expect(processState(identity)).toBe('dead')
  })
})

function run(script: string, ...args: string[]): ChildProcess {
  const built = new URL('../../dist/layout/lock.js', import.meta.url).href
  const prelude = `import { acquireLock, withLock } from '${built}'
    import { readFileSync, writeFileSync } from 'node:fs'
    const path = ${JSON.stringify(lock)}\n`
  const options = ['--input-type=module', '-e', prelude + script, '--', ...args]
  const child = spawn(process.execPath, options, { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  return child
}

async function printed(child: ChildProcess): Promise<void> {
  if (child.stdout) await once(child.stdout, 'data')
}

async function hold(holder: object, id = 'aaaaaaaaaaaa'): Promise<void> {
  await writeFile(lock, JSON.stringify({ id, ...holder }))
}
