import { expect, test } from 'vitest'
import { failureOf, password } from './auth-files.test.fixture.ts'
import type { Credentials } from './credentials.ts'
import { createHelperPool } from './helper-pool.ts'

test('a helper goes on for the others when one caller leaves, and stops when all have left', async () => {
  const runs: Array<{ signal: AbortSignal; answer(value: Credentials): void }> = []
  const pool = createHelperPool((_, __, options) => {
    const signal = options?.signal ?? AbortSignal.abort()
    return new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(new Error('killed')))
      runs.push({ signal, answer: resolve })
    })
  })
  const [leaving, staying] = [new AbortController(), new AbortController()]
  const left = failureOf(pool.ask('slow', 'a.example', { signal: leaving.signal }))
  const stayed = pool.ask('slow', 'a.example', { signal: staying.signal })
  await new Promise(setImmediate)
  leaving.abort()
  expect(await left).toMatchObject({ code: 'ERR_REGISTRY_ABORTED' })
  expect(runs[0]?.signal.aborted).toBe(false)
  runs[0]?.answer(password('u', 'p'))
  expect(await stayed).toEqual(password('u', 'p'))

  const last = new AbortController()
  const other = failureOf(pool.ask('slow', 'b.example', { signal: last.signal }))
  await new Promise(setImmediate)
  last.abort()
  expect(await other).toMatchObject({ code: 'ERR_REGISTRY_ABORTED' })
  expect(runs[1]?.signal.aborted).toBe(true)

  const again = pool.ask('slow', 'b.example', {})
  await new Promise(setImmediate)
  runs[2]?.answer(password('u', 'again'))
  expect(await again).toEqual(password('u', 'again'))
})
