import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createLimiter } from './limiter.ts'

describe('createLimiter', () => {
  it('lets no more go on than it may, with a host and in all, and everybody in the end', async () => {
    const limits = fc.record({
      perHost: fc.integer({ min: 1, max: 4 }),
      total: fc.integer({ min: 1, max: 6 }),
    })
    const work = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 30 })
    await fc.assert(
      fc.asyncProperty(limits, work, fc.scheduler(), async (limit, hosts, scheduler) => {
        const limiter = createLimiter(limit)
        const busy: string[] = []
        let done = 0
        const jobs = hosts.map(async (host) => {
          const release = await limiter.acquire(host)
          busy.push(host)
          expect(busy.length).toBeLessThanOrEqual(limit.total)
          expect(busy.filter((each) => each === host).length).toBeLessThanOrEqual(limit.perHost)
          await scheduler.schedule(Promise.resolve())
          busy.splice(busy.indexOf(host), 1)
          release()
          release()
          done++
        })
        await scheduler.waitFor(Promise.all(jobs))
        expect(done).toBe(hosts.length)
      }),
    )
  })

  it('does not let a busy host hold up another one', async () => {
    const limiter = createLimiter({ perHost: 1, total: 2 })
    const release = await limiter.acquire('a')
    const second = limiter.acquire('a')
    await limiter.acquire('b')
    release()
    await second
  })

  it('forgets who gave up waiting', async () => {
    const limiter = createLimiter({ perHost: 1 })
    const release = await limiter.acquire('a')
    const controller = new AbortController()
    const gaveUp = limiter.acquire('a', controller.signal)
    const patient = limiter.acquire('a')
    controller.abort()
    await expect(gaveUp).rejects.toMatchObject({ code: 'ERR_REGISTRY_ABORTED' })
    release()
    ;(await patient)()
    await expect(limiter.acquire('a', AbortSignal.abort())).rejects.toMatchObject({
      code: 'ERR_REGISTRY_ABORTED',
    })
    await limiter.acquire('a')
  })
})
