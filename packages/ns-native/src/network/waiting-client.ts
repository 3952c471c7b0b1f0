import type { Socket } from 'node:net'

/** What a client may say before it is answered. */
const EARLY_MAX_BYTES = 65_536

/** A client that waits while its request is decided. */
export interface WaitingClient {
  /** Aborted when it goes away; ending its side counts as that. */
  signal: AbortSignal
  /** What it has said meanwhile. From now on the socket is the caller's. */
  release: () => Buffer
}

/** Keep an eye on a client: unless it is read from, nobody learns that it has gone. */
export function attend(client: Socket): WaitingClient {
  const gone = new AbortController()
  const early: Buffer[] = []
  const leave = () => gone.abort()
  const hear = (chunk: Buffer) => {
    early.push(chunk)
    if (early.reduce((sum, { length }) => sum + length, 0) >= EARLY_MAX_BYTES) client.pause()
  }
  client.on('error', leave).once('close', leave).once('end', leave).on('data', hear)
  client.resume()
  if (client.destroyed || client.readableEnded) leave()
  return {
    signal: gone.signal,
    release: () => {
      client.off('data', hear).off('end', leave)
      client.pause()
      return Buffer.concat(early)
    },
  }
}
