/** What Node's own asynchronous functions reject with when their `AbortSignal` fires. */
export class AbortError extends Error {
  static {
    AbortError.prototype.name = 'AbortError'
  }

  readonly code = 'ABORT_ERR'

  constructor(signal: AbortSignal) {
    super('The operation was aborted', { cause: signal.reason })
  }
}
