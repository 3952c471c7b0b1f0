import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Gatekeeper, Passage } from './gatekeeper.ts'
import { parseAuthority } from './host-name.ts'
import { joinSockets } from './joined-sockets.ts'
import { attend } from './waiting-client.ts'

/** `CONNECT host:port` (RFC 9110, 9.3.6): the policy is asked, then bytes are copied. */
export async function serveConnect(
  gatekeeper: Gatekeeper,
  request: IncomingMessage,
  client: Socket,
  head: Buffer,
): Promise<void> {
  const { signal, release } = attend(client)
  const target = parseAuthority(request.url ?? '')
  if (target === undefined) return endWith(client, 400, 'CONNECT wants host:port')
  const asked = {
    protocol: 'connect',
    method: 'CONNECT',
    ...target,
    url: undefined,
    signal,
  } as const
  const passage = await gatekeeper.pass(asked)
  if (passage.outcome !== 'connected') return endWith(client, statusOf(passage), passage.words)
  client.write('HTTP/1.1 200 Connection established\r\n\r\n')
  passage.socket.write(Buffer.concat([head, release()]))
  joinSockets(client, passage.socket)
}

/** The status for a request that came to nothing. */
export function statusOf(passage: Exclude<Passage, { outcome: 'connected' }>): number {
  if (passage.outcome === 'refused') return 403
  return passage.late ? 504 : 502
}

const PHRASES: Record<number, string> = {
  400: 'Bad Request',
  403: 'Forbidden',
  502: 'Bad Gateway',
  504: 'Gateway Timeout',
}

/** A whole answer, for a client whose connection is no longer the HTTP server's. */
export function endWith(client: Socket, status: number, words: string): void {
  const body = explanation(words)
  client.end(
    `HTTP/1.1 ${status} ${PHRASES[status]}\r\n` +
      `Content-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
      `Connection: close\r\n\r\n${body}`,
  )
}

/** What a person inside reads. */
export function explanation(words: string): string {
  return `The sandbox's network: ${words}\n`
}
