import { abortable } from '../abort.ts'

/** Work that several callers wait for. */
export interface SharedWork<T> {
  /** The result; `ERR_REGISTRY_ABORTED` as soon as this caller's signal is aborted. */
  join(signal?: AbortSignal): Promise<T>
  /** Whether everybody who waited has gone, so that nobody may join any more. */
  readonly isAbandoned: boolean
}

/** Start work whose signal is aborted when the last of those who wait for it has gone, not before. */
export function shareWork<T>(work: (signal: AbortSignal) => Promise<T>): SharedWork<T> {
  const controller = new AbortController()
  const result = work(controller.signal)
  let waiting = 0
  let settled = false
  const settle = () => {
    settled = true
  }
  result.then(settle, settle)
  return {
    async join(signal) {
      waiting += 1
      try {
        return await abortable(result, signal)
      } finally {
        waiting -= 1
        if (waiting === 0 && !settled) controller.abort(signal?.reason)
      }
    },
    get isAbandoned() {
      return controller.signal.aborted
    },
  }
}
