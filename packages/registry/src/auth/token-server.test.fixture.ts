import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A request as a token server got it. */
export interface TokenServerRequest {
  method: string
  url: URL
  authorization: string | undefined
  /** Of a form. */
  form: URLSearchParams
}

/** What a token server answers: JSON with status 200, or what is said. */
export type TokenServerAnswer =
  | object
  | { status: number; body?: unknown; headers?: Record<string, string> }

/** A token service on loopback that answers as a test wants. */
export interface TokenServer {
  readonly host: string
  readonly realm: string
  readonly requests: TokenServerRequest[]
  /** How the next requests are answered; by default each gets a token `t1`, `t2`, … */
  answer: (request: TokenServerRequest) => TokenServerAnswer | Promise<TokenServerAnswer>
  close(): Promise<void>
}

/** Start it. */
export async function startTokenServer(): Promise<TokenServer> {
  const requests: TokenServerRequest[] = []
  const http = createServer(async (incoming, response) => {
    let text = ''
    for await (const chunk of incoming) text += chunk
    const { method = '', headers } = incoming
    const url = new URL(incoming.url ?? '/', server.realm)
    const form = new URLSearchParams(text)
    const request = { method, url, authorization: headers.authorization, form }
    requests.push(request)
    const { status, body, headers: extra } = whole(await server.answer(request))
    response.writeHead(status, extra)
    response.end(typeof body === 'string' ? body : JSON.stringify(body ?? {}))
  })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  // A server that listens on TCP has an address of this form.
  const host = `127.0.0.1:${(http.address() as AddressInfo).port}`
  const server: TokenServer = {
    host,
    realm: `http://${host}/token`,
    requests,
    answer: () => ({ token: `t${requests.length}`, expires_in: 300 }),
    async close() {
      http.closeAllConnections()
      await new Promise((resolve) => http.close(resolve))
    },
  }
  return server
}

function whole(answer: TokenServerAnswer): {
  status: number
  body?: unknown
  headers?: Record<string, string>
} {
  return 'status' in answer ? answer : { status: 200, body: answer }
}
