import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createTask } from './task.ts'

type Step = { step: number } | { progress: number }

const unhandled: unknown[] = []
const remember = (reason: unknown) => unhandled.push(reason)
const others = process.listeners('unhandledRejection')

beforeEach(() => {
  unhandled.length = 0
  process.removeAllListeners('unhandledRejection')
  process.on('unhandledRejection', remember)
})

afterEach(() => {
  process.removeListener('unhandledRejection', remember)
  for (const listener of others) process.on('unhandledRejection', listener)
})

const counting = (until: number) =>
  createTask<string, Step>(async (emit) => {
    for (let step = 1; step <= until; step++) {
      emit({ step })
      await nextTurn()
    }
    return 'done'
  })

const failing = (error = new Error('no')) =>
  createTask<string, Step>(async (emit) => {
    emit({ step: 1 })
    await nextTurn()
    throw error
  })

async function collect<Event>(events: AsyncIterable<Event>): Promise<Event[]> {
  const seen: Event[] = []
  for await (const event of events) seen.push(event)
  return seen
}

/** Node reports unhandled rejections after the turn in which they happened. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await nextTurn()
}

describe('a task', () => {
  it('is a promise of its result', async () => {
    const task = counting(2)
    expect(task).toBeInstanceOf(Promise)
    expect(await task).toBe('done')
    expect(await Promise.all([task, task.finally()])).toEqual(['done', 'done'])
    expect(Symbol.asyncIterator in task.then()).toBe(false)
  })

  it('is an iterable of its events, from the first one on', async () => {
    const task = counting(3)
    expect(await collect(task)).toEqual([{ step: 1 }, { step: 2 }, { step: 3 }])
    expect(await task).toBe('done')
  })

  it('shows every event to each of several iterations, from where it begins', async () => {
    const task = counting(4)
    const first = collect(task)
    const second = collect(task)
    await nextTurn()
    const late = collect(task)
    expect(await first).toHaveLength(4)
    expect(await second).toEqual(await first)
    const missed = 4 - (await late).length
    expect(missed).toBeGreaterThan(0)
    expect(await late).toEqual((await first).slice(missed))
    expect(await collect(task)).toEqual([])
  })

  it('goes on when an iteration is left', async () => {
    const task = counting(3)
    for await (const event of task) {
      expect(event).toEqual({ step: 1 })
      break
    }
    expect(await task).toBe('done')
  })

  it('ends requests for events that were made ahead, and stays at its end', async () => {
    const iterator = counting(1)[Symbol.asyncIterator]()
    const ahead = await Promise.all([iterator.next(), iterator.next(), iterator.next()])
    expect(ahead.map(({ done }) => done)).toEqual([false, true, true])
    expect(await iterator.next()).toEqual({ done: true, value: undefined })
  })

  it('throws what an operation throws before it waits for anything', async () => {
    const task = createTask(() => {
      throw new Error('at once')
    })
    await expect(task).rejects.toThrow('at once')
  })
})

describe('a task that lags behind', () => {
  it('replaces news that became worthless, and keeps the rest in order', async () => {
    const task = createTask<void, Step>(
      async (emit) => {
        emit({ step: 1 })
        for (let progress = 0; progress <= 1000; progress++) emit({ progress })
        emit({ step: 2 })
      },
      { topicOf: (event) => ('progress' in event ? 'progress' : undefined) },
    )
    const iterator = task[Symbol.asyncIterator]()
    await task
    const seen = await collect({ [Symbol.asyncIterator]: () => iterator })
    expect(seen).toEqual([{ step: 1 }, { progress: 1000 }, { step: 2 }])
  })

  it('never keeps more than ten thousand events', async () => {
    const task = createTask<void, Step>(async (emit) => {
      for (let step = 1; step <= 10_005; step++) emit({ step })
    })
    const iterator = task[Symbol.asyncIterator]()
    await task
    const seen = await collect({ [Symbol.asyncIterator]: () => iterator })
    expect(seen).toHaveLength(10_000)
    expect(seen[0]).toEqual({ step: 6 })
  })
})

describe('a task that fails', () => {
  it('throws from iterations and from the promise, and nothing is left unhandled', async () => {
    const task = failing()
    const seen: Step[] = []
    await expect(
      (async () => {
        for await (const event of task) {
          seen.push(event)
          await settled() // the failure has to wait for the reader
        }
      })(),
    ).rejects.toThrow('no')
    expect(seen).toEqual([{ step: 1 }])
    await settled()
    expect(unhandled).toEqual([])
    await expect(task).rejects.toThrow('no')
    await expect(collect(task)).rejects.toThrow('no')
  })

  it('is an unhandled rejection if nobody looks', async () => {
    const error = new Error('unseen')
    failing(error)
    await settled()
    expect(unhandled).toEqual([error])
  })

  it('is an unhandled rejection if the only iteration was left before the failure', async () => {
    const error = new Error('left')
    for await (const _ of failing(error)) break
    await settled()
    expect(unhandled).toEqual([error])
  })

  it('is an unhandled rejection if the only iteration is left with the failure before it', async () => {
    const error = new Error('left later')
    for await (const _ of failing(error)) {
      await settled()
      break
    }
    await settled()
    expect(unhandled).toEqual([error])
  })

  it('is handled by who awaits it after having left an iteration', async () => {
    const task = failing()
    for await (const _ of task) {
      await settled()
      break
    }
    await expect(task).rejects.toThrow('no')
    await settled()
    expect(unhandled).toEqual([])
  })
})
