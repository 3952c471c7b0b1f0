import type { Socket } from 'node:net'

/**
 * Copy between two TCP sockets until both directions have ended; what breaks one breaks the other.
 * Both are of `allowHalfOpen`: each direction ends by itself.
 */
export function joinSockets(one: Socket, other: Socket): void {
  if (one.destroyed || other.destroyed) {
    one.destroy()
    other.destroy()
    return
  }
  follow(one, other)
  follow(other, one)
}

function follow(from: Socket, to: Socket): void {
  // A reset, so that what was cut off is not taken for complete.
  from.on('error', () => resetSocket(to))
  from.on('close', () => {
    if (!to.writableEnded) to.destroy()
  })
  from.setNoDelay(true)
  from.pipe(to)
}

/** Close with a TCP reset, whatever state it is in. */
export function resetSocket(socket: Socket): void {
  if (!socket.destroyed) socket.resetAndDestroy()
}
