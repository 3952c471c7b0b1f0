import { setMaxListeners } from 'node:events'
import { RegistryError } from './errors.ts'

/** The error for a call whose signal was aborted; the reason is its cause. */
export function abortedError(signal: AbortSignal): RegistryError {
  return new RegistryError('ERR_REGISTRY_ABORTED', 'stopped: the operation was aborted', {
    cause: signal.reason,
  })
}

/** Throws `ERR_REGISTRY_ABORTED` if the signal was aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortedError(signal)
}

/** Let any number of calls listen to a signal; of more than ten Node would warn on stderr, as of a leak. */
export function allowListeners(signal: AbortSignal | undefined): void {
  if (signal !== undefined) setMaxListeners(0, signal)
}

/** The promise's result, or `ERR_REGISTRY_ABORTED` as soon as the signal is aborted; the work itself goes on. */
export async function abortable<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  if (signal === undefined) return promise
  throwIfAborted(signal)
  let stop = () => {}
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(abortedError(signal))
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
