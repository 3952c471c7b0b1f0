import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RegistryError, type RegistryErrorFields } from '../errors.ts'
import { parseRetryAfter, type Retry, withRetry } from './retry.ts'

describe('withRetry', () => {
  it('tries again what may pass, with growing pauses, and tells', async () => {
    const { attempts, retries } = await run(4, { temporary: true }, { baseMs: 2 })
    expect(attempts).toBe(4)
    expect(retries.map(({ attempt, delayMs }) => [attempt, delayMs])).toEqual([
      [2, 2],
      [3, 4],
      [4, 8],
    ])
  })

  it('gives up after the last attempt with its error', async () => {
    const { attempts, error } = await run(9, { temporary: true }, { baseMs: 1, attempts: 3 })
    expect(attempts).toBe(3)
    expect(error).toMatchObject({ message: 'failure 3' })
  })

  it('does not try again what is final, or not ours', async () => {
    expect((await run(9, {}, {})).attempts).toBe(1)
    await expect(withRetry(() => Promise.reject(new Error('other')))).rejects.toThrow('other')
  })

  it('waits as long as the registry asks, unless that is too long', async () => {
    const { retries } = await run(2, { temporary: true, retryAfterMs: 5 }, { baseMs: 1000 })
    expect(retries[0]?.delayMs).toBe(5)
    const patience = await run(2, { temporary: true, retryAfterMs: 61_000 }, {})
    expect(patience.attempts).toBe(1)
  })

  it('stops waiting when the signal is aborted', async () => {
    const start = performance.now()
    const failing = () => Promise.reject(failure(1, { temporary: true }))
    const signal = AbortSignal.timeout(20)
    await expect(withRetry(failing, { policy: { baseMs: 30_000 }, signal })).rejects.toMatchObject({
      code: 'ERR_REGISTRY_ABORTED',
      cause: expect.objectContaining({ name: 'TimeoutError' }),
    })
    expect(performance.now() - start).toBeLessThan(5000)
  })

  it('keeps each pause between half the step and the step, and below the limit', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        async (random) => {
          const { retries } = await run(
            5,
            { temporary: true },
            { baseMs: 2, maxMs: 5 },
            () => random,
          )
          retries.forEach(({ delayMs }, i) => {
            const step = Math.min(2 * 2 ** i, 5)
            expect(delayMs).toBeGreaterThanOrEqual(Math.floor(step / 2))
            expect(delayMs).toBeLessThanOrEqual(step)
          })
        },
      ),
      { numRuns: 5 },
    )
  })
})

describe('parseRetryAfter', () => {
  const now = Date.parse('2026-01-01T00:00:00Z')

  it.each([
    ['0', 0],
    ['120', 120_000],
    [' 7 ', 7000],
    ['Thu, 01 Jan 2026 00:00:30 GMT', 30_000],
    ['Thu, 01 Jan 2026 00:00:00 GMT', 0],
    ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
    ['Thursday, 01-Jan-26 00:01:00 GMT', 60_000],
    ['-1', undefined],
    ['1.5', undefined],
    ['soon', undefined],
    ['Soon, very', undefined],
    ['9'.repeat(20), undefined],
    ['', undefined],
    [undefined, undefined],
    [['1'], undefined],
  ])('reads %j as %s', (value, expected) => {
    expect(parseRetryAfter(value, now)).toBe(expected)
  })
})

async function run(
  successAt: number,
  fields: RegistryErrorFields,
  policy: { baseMs?: number; attempts?: number; maxMs?: number },
  random = () => 1,
) {
  const retries: Retry[] = []
  let attempts = 0
  const onRetry = (retry: Retry) => retries.push(retry)
  const operation = async (attempt: number) => {
    attempts = attempt
    if (attempt < successAt) throw failure(attempt, fields)
  }
  const error = await withRetry(operation, { policy, onRetry, random }).catch((reason) => reason)
  return { attempts, retries, error }
}

function failure(attempt: number, fields: RegistryErrorFields): RegistryError {
  return new RegistryError('ERR_REGISTRY_SERVER', `failure ${attempt}`, fields)
}
