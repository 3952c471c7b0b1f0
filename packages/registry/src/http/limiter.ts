import { abortedError, throwIfAborted } from '../abort.ts'

/** How many downloads and uploads may go on at the same time. */
export interface ConcurrencyLimits {
  /** With one host. Default 8. */
  perHost?: number
  /** With all hosts. Default 24. */
  total?: number
}

/** Hands out places. */
export interface Limiter {
  /** Wait for a place with a host, first come, first served. Returns what gives it back, once. */
  acquire(host: string, signal?: AbortSignal): Promise<() => void>
}

interface Waiting {
  host: string
  begin(): void
}

/** Make a limiter. */
export function createLimiter({ perHost = 8, total = 24 }: ConcurrencyLimits = {}): Limiter {
  const taken = new Map<string, number>()
  const queue: Waiting[] = []
  let all = 0

  const countOf = (host: string) => taken.get(host) ?? 0
  const isFree = (host: string) => all < total && countOf(host) < perHost

  function take(host: string): () => void {
    taken.set(host, countOf(host) + 1)
    all++
    let given = false
    return () => {
      if (given) return
      given = true
      all--
      if (countOf(host) === 1) taken.delete(host)
      else taken.set(host, countOf(host) - 1)
      next()
    }
  }

  /** A host that is busy holds up nobody else. */
  function next(): void {
    const index = queue.findIndex(({ host }) => isFree(host))
    if (index !== -1) queue.splice(index, 1)[0]?.begin()
  }

  return {
    async acquire(host, signal) {
      throwIfAborted(signal)
      if (isFree(host)) return take(host)
      return new Promise((resolve, reject) => {
        const waiting: Waiting = {
          host,
          begin() {
            signal?.removeEventListener('abort', stop)
            resolve(take(host))
          },
        }
        function stop(): void {
          queue.splice(queue.indexOf(waiting), 1)
          if (signal !== undefined) reject(abortedError(signal))
        }
        queue.push(waiting)
        signal?.addEventListener('abort', stop, { once: true })
      })
    },
  }
}
