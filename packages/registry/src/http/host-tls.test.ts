import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import type { TlsSettings } from '../hosts/endpoint.ts'
import { LOOPBACK_CERTIFICATE } from './loopback-certificate.test.fixture.ts'
import { createTransport } from './transport.ts'

const { cert, key } = LOOPBACK_CERTIFICATE
const open: Array<{ close(): unknown }> = []

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

describe('a host that wants a client certificate', () => {
  it('is shown the one that is its', async () => {
    const url = await serve({ rejectUnauthorized: true })
    expect(await ask(url, { ca: [cert], cert, key })).toBe(200)
  })

  it('is not shown that of another host which redirects there, but is verified by its authority', async () => {
    const shown: unknown[] = []
    const other = await serve({}, (socket) => shown.push(socket.getPeerCertificate()))
    const url = await serve({ to: other })
    expect(await ask(url, { ca: [cert], cert, key })).toBe(200)
    expect(shown).toEqual([{}])
  })

  it('is shown its own where another host redirects there', async () => {
    const other = await serve({ rejectUnauthorized: true })
    const url = await serve({ to: other })
    const tlsOf = async (host: string) => (host === other.host ? { cert, key } : {})
    expect(await ask(url, { ca: [cert] }, tlsOf)).toBe(200)
  })
})

describe('insecure', () => {
  it('is one host by name, and none that it redirects to', async () => {
    const other = await serve({})
    const url = await serve({ to: other })
    expect(await ask(other, { insecure: true })).toBe(200)
    expect(await ask(url, { insecure: true })).toMatchObject({
      code: 'ERR_REGISTRY_TLS',
      host: other.host,
    })
  })
})

it.each([
  ['a certificate that is none', { cert: 'x', key }, 'cannot be used'],
  ['a key of another certificate', { cert, key: 'x' }, 'cannot be used'],
])('%s is said to be so, and not shown', async (_, tls, why) => {
  const failure = await ask(await serve({}), { ca: [cert], ...tls })
  expect(failure).toMatchObject({
    code: 'ERR_REGISTRY_TLS',
    message: expect.stringContaining(why),
  })
  expect(JSON.stringify(failure)).not.toContain('PRIVATE KEY')
})

async function ask(
  url: URL,
  tls: TlsSettings,
  tlsOf: (host: string) => Promise<TlsSettings> = async () => ({}),
): Promise<unknown> {
  const transport = createTransport({}, { tlsOf })
  open.push(transport)
  return transport.request({ method: 'GET', url, tls }).then(
    (response) => {
      response.cancel()
      return response.status
    },
    (error: unknown) => error,
  )
}

interface ServeOptions {
  /** Refuse whoever has no certificate. */
  rejectUnauthorized?: boolean
  /** Where everything is redirected to. */
  to?: URL
}

async function serve(
  { rejectUnauthorized = false, to }: ServeOptions,
  onSocket: (socket: TLSSocket) => void = () => {},
): Promise<URL> {
  const options = { cert, key, ca: cert, requestCert: true, rejectUnauthorized }
  const server = createServer(options, (request: IncomingMessage, response) => {
    // A server of TLS has no other sockets.
    onSocket(request.socket as TLSSocket)
    response.writeHead(to === undefined ? 200 : 307, to === undefined ? {} : { location: to.href })
    response.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push({
    close: () =>
      new Promise((resolve) => {
        server.close(resolve)
        server.closeAllConnections()
      }),
  })
  // A server that listens on TCP has an address of this form.
  return new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}/`)
}
