import type { IncomingMessage } from 'node:http'
import type { Fault } from './fault.ts'

/** Thrown by a request's body when a fault or the client ends it before its time. */
export class InterruptedUpload extends Error {
  override readonly name = 'InterruptedUpload'
}

/** The body of a request, or as much of it as the fault lets through. */
export async function* requestBody(
  request: IncomingMessage,
  fault: Fault | undefined,
  onReceived: (bytes: number) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  const limit = limitOf(fault)
  let left = limit
  try {
    // The connection outlives a body that is not read to its end.
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      const part: Uint8Array = chunk.subarray(0, left)
      left -= part.byteLength
      if (part.byteLength > 0) {
        onReceived(part.byteLength)
        yield part
      }
      if (left === 0 && fault?.type !== 'short-chunk') throw new InterruptedUpload(fault?.type)
    }
  } catch (cause) {
    throw cause instanceof InterruptedUpload
      ? cause
      : new InterruptedUpload('the client went away', { cause })
  }
}

function limitOf(fault: Fault | undefined): number {
  switch (fault?.type) {
    case 'cut-upload':
    case 'stall-upload':
      return fault.afterBytes
    case 'short-chunk':
      return fault.bytes
    default:
      return Number.POSITIVE_INFINITY
  }
}
