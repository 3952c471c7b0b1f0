import type { Readable } from 'node:stream'

/**
 * Let nothing flow out of a stream until it is released, whatever listeners it gets meanwhile: the
 * event `spawn` comes before the first byte, as in `child_process`. Reading on purpose (`read`,
 * `pipe`, `for await`) is not kept from.
 */
export function holdStream(stream: Readable): void {
  stream.pause()
}

/** Let it flow, or wait for its first listener, as if it had never been held. */
export function releaseStream(stream: Readable): void {
  if (stream.readableFlowing !== false) return
  if (stream.listenerCount('data') > 0) stream.resume()
  // back to "nobody has begun to read": settable, though the types of Node do not say so
  else (stream as { readableFlowing: boolean | null }).readableFlowing = null
}
