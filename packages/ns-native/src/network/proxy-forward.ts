import {
  type ClientRequest,
  request as httpRequest,
  type IncomingMessage,
  ServerResponse,
} from 'node:http'
import type { Socket } from 'node:net'
import { pipeline } from 'node:stream'
import type { Gatekeeper } from './gatekeeper.ts'
import { formatAuthority, type HostAndPort, parseAuthority } from './host-name.ts'
import { joinSockets } from './joined-sockets.ts'
import { explanation, statusOf } from './proxy-tunnel.ts'
import { attend } from './waiting-client.ts'

const HTTP_PORT = 80

/** The target of a request in absolute form (RFC 9112, 3.2.2). */
interface Target extends HostAndPort {
  /** As it came, without the fragment. */
  path: string
}

/** A plain request: the policy is asked, then it is made anew with the same method, headers and body. */
export async function serveRequest(
  gatekeeper: Gatekeeper,
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  const upstream = await openUpstream(gatekeeper, incoming, response, gone.signal)
  if (upstream === undefined) return
  upstream.on('response', (answer) => {
    answer.on('error', () => response.destroy())
    relayAnswer(answer, response)
  })
  upstream.on('error', (error) =>
    refuse(response, 502, `the host broke the connection: ${error.message}`),
  )
  response.once('close', () => upstream.destroy())
  // Both ends hear of an error by their own events.
  pipeline(incoming, upstream, () => {})
}

/** A request that wants to become something else; WebSocket may, others stay HTTP. */
export async function serveUpgrade(
  gatekeeper: Gatekeeper,
  incoming: IncomingMessage,
  client: Socket,
  head: Buffer,
): Promise<void> {
  const response = new ServerResponse(incoming)
  response.shouldKeepAlive = false
  response.assignSocket(client)
  const { signal, release } = attend(client)
  const upstream = await openUpstream(gatekeeper, incoming, response, signal)
  if (upstream === undefined) return
  upstream.on('upgrade', (answer, socket, first) => {
    response.detachSocket(client)
    const { statusCode, statusMessage } = answer
    client.write(`HTTP/1.1 ${statusCode} ${statusMessage}\r\n${headerLines(answer.rawHeaders)}\r\n`)
    client.write(first)
    socket.write(Buffer.concat([head, release()]))
    // made by net.connect, in checked-connection.ts
    joinSockets(client, socket as Socket)
  })
  upstream.on('response', (answer) => relayAnswer(answer, response))
  upstream.on('error', (error) =>
    refuse(response, 502, `the host broke the connection: ${error.message}`),
  )
  client.once('close', () => upstream.destroy())
  response.once('finish', () => client.end())
  upstream.end()
}

/** Checked and connected, without its body; undefined when the answer has been given already. */
async function openUpstream(
  gatekeeper: Gatekeeper,
  incoming: IncomingMessage,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<ClientRequest | undefined> {
  const target = parseTarget(incoming.url ?? '')
  const method = incoming.method ?? 'GET'
  if (target === undefined) {
    return refuse(
      response,
      400,
      'this is a proxy: it wants an absolute URL with http://, or CONNECT',
    )
  }
  if (!/^(chunked)?$/i.test(incoming.headers['transfer-encoding'] ?? '')) {
    return refuse(response, 501, 'no transfer coding but chunked')
  }
  const { host, port, path } = target
  const url = `http://${formatAuthority(target, HTTP_PORT)}${path}`
  const passage = await gatekeeper.pass({ protocol: 'http', method, host, port, url, signal })
  if (passage.outcome !== 'connected') return refuse(response, statusOf(passage), passage.words)
  const { socket } = passage
  return httpRequest({
    method,
    path,
    headers: headersFor(incoming, target),
    createConnection: () => socket,
    insecureHTTPParser: false,
  })
}

function parseTarget(url: string): Target | undefined {
  const [, authority = '', path = ''] = /^http:\/\/([^/?#]*)([^#]*)/i.exec(url) ?? []
  const target = parseAuthority(authority, HTTP_PORT)
  return target && { ...target, path: path.startsWith('/') ? path : `/${path}` }
}

// Of one connection, not of the message (RFC 9110, 7.6.1); and what is for proxies only.
const HOP_BY_HOP: readonly string[] = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]

/** The headers that go on, as pairs in one list: repeated ones stay repeated. */
function endToEnd({ headers, rawHeaders }: IncomingMessage, ...more: string[]): string[] {
  const named = (headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase())
  const dropped = new Set([...HOP_BY_HOP, ...named, ...more])
  return rawHeaders.filter((_, index, all) => {
    return !dropped.has((all[index - (index % 2)] ?? '').toLowerCase())
  })
}

// The host is that of the URL, whatever the Host header says (RFC 9112, 3.2.2): what was asked the
// policy is what the server sees. "Expect" has been answered by our own server.
function headersFor(incoming: IncomingMessage, target: Target): string[] {
  const { headers, method } = incoming
  const list = ['Host', formatAuthority(target, HTTP_PORT), ...endToEnd(incoming, 'host', 'expect')]
  if (headers['transfer-encoding'] !== undefined) list.push('Transfer-Encoding', 'chunked')
  else if (headers['content-length'] === undefined && mayHaveBody(method)) {
    list.push('Content-Length', '0')
  }
  const websocket = headers.upgrade?.toLowerCase() === 'websocket'
  return [
    ...list,
    ...(websocket ? ['Connection', 'Upgrade', 'Upgrade', 'websocket'] : ['Connection', 'close']),
  ]
}

function mayHaveBody(method = 'GET'): boolean {
  return !['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE'].includes(method)
}

function relayAnswer(answer: IncomingMessage, response: ServerResponse): void {
  response.sendDate = false
  // a server's answer always has a status
  response.writeHead(answer.statusCode ?? 502, answer.statusMessage, endToEnd(answer))
  // An answer that is cut off must not look complete: the client's connection is cut off, too.
  pipeline(answer, response, (error) => {
    if (error) response.destroy()
  })
}

function headerLines(rawHeaders: readonly string[]): string {
  let text = ''
  for (let i = 0; i < rawHeaders.length; i += 2)
    text += `${rawHeaders[i]}: ${rawHeaders[i + 1]}\r\n`
  return text
}

function refuse(response: ServerResponse, status: number, words: string): undefined {
  if (response.headersSent) {
    response.destroy()
    return
  }
  // Closing spares us the rest of a body that nobody wants.
  const headers = { 'Content-Type': 'text/plain; charset=utf-8', Connection: 'close' }
  response.writeHead(status, headers).end(explanation(words))
}
