/** Runs actions, at most so many at a time, in the order in which they were given. */
export type Limiter = <T>(action: () => Promise<T>) => Promise<T>

/** Make a limiter; an action must not wait for another one of the same limiter. */
export function createLimiter(limit: number): Limiter {
  const waiting: Array<() => void> = []
  let running = 0
  return async (action) => {
    if (running >= limit) await new Promise<void>((resolve) => waiting.push(resolve))
    else running++
    try {
      return await action()
    } finally {
      const next = waiting.shift()
      if (next === undefined) running--
      else next()
    }
  }
}

/**
 * Run an action on every item, at most `limit` at a time; with one at a time, in order.
 *
 * The first failure is told to `onFailure`, and thrown once all that had begun has ended; nothing more
 * is begun.
 */
export async function forEachLimited<T>(
  items: Iterable<T>,
  limit: number,
  action: (item: T) => Promise<void>,
  onFailure: (error: unknown) => void = () => {},
): Promise<void> {
  const queue = [...items]
  const failures: unknown[] = []
  async function work(): Promise<void> {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      try {
        await action(next)
      } catch (error) {
        if (failures.push(error) === 1) onFailure(error)
        queue.length = 0
      }
    }
  }
  await Promise.all(Array.from({ length: Math.max(1, limit) }, work))
  if (failures.length > 0) throw failures[0]
}
