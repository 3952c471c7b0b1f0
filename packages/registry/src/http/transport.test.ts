import { createServer, type IncomingMessage, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import {
  type AddressInfo,
  connect,
  createServer as createTcpServer,
  type Server as TcpServer,
} from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { LOOPBACK_CERTIFICATE } from './loopback-certificate.test.fixture.ts'
import { createTransport, type Transport, type TransportOptions } from './transport.ts'

const open: Array<{ close(): unknown }> = []

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

describe('createTransport', () => {
  it('gives status, headers and body', async () => {
    const url = await serve((_, answer) => answer(201, { 'X-Thing': 'a' }, 'body'))
    const response = await transport().request({ method: 'GET', url })
    expect(response).toMatchObject({ status: 201, headers: { 'x-thing': 'a' } })
    expect(await text(response.body)).toBe('body')
  })

  it('asks for the bytes themselves, under its name', async () => {
    const seen: IncomingMessage[] = []
    const url = await serve((request, answer) => {
      seen.push(request)
      answer(200)
    })
    const client = transport({ userAgent: 'test/1' })
    ;(await client.request({ method: 'HEAD', url })).cancel()
    expect(seen[0]?.headers).toMatchObject({
      'accept-encoding': 'identity',
      'user-agent': 'test/1',
    })
  })

  it('follows redirects, relative ones too, and keeps credentials within the origin', async () => {
    const elsewhere: IncomingMessage[] = []
    const other = await serve((request, answer) => {
      elsewhere.push(request)
      answer(200, {}, 'there')
    })
    const here: IncomingMessage[] = []
    const url = await serve((request, answer) => {
      here.push(request)
      if (request.url === '/a') answer(307, { location: 'b?x=1' })
      else answer(302, { location: new URL('/c', other).href })
    })
    const headers = { authorization: 'Bearer secret', range: 'bytes=1-2' }
    const response = await transport().request({ method: 'GET', url: new URL('/a', url), headers })
    expect(await text(response.body)).toBe('there')
    expect(response.url.href).toBe(new URL('/c', other).href)
    expect(here.map(({ headers: { authorization } }) => authorization)).toEqual([
      'Bearer secret',
      'Bearer secret',
    ])
    expect(elsewhere[0]?.headers).toMatchObject({ range: 'bytes=1-2' })
    expect(elsewhere[0]?.headers.authorization).toBeUndefined()
  })

  it('does not give credentials back after a detour', async () => {
    const seen: IncomingMessage[] = []
    const target = { value: new URL('http://127.0.0.1') }
    const other = await serve((_, answer) => answer(307, { location: target.value.href }))
    const url = await serve((request, answer) => {
      seen.push(request)
      if (request.url === '/a') answer(307, { location: other.href })
      else answer(200)
    })
    target.value = new URL('/back', url)
    const headers = { authorization: 'Bearer secret' }
    ;(await transport().request({ method: 'GET', url: new URL('/a', url), headers })).cancel()
    expect(seen.map((request) => [request.url, request.headers.authorization])).toEqual([
      ['/a', 'Bearer secret'],
      ['/back', undefined],
    ])
  })

  it('refuses redirects to where it must not go, and endless ones', async () => {
    const url = await serve((request, answer) => {
      const to = new URL(request.url ?? '/', 'http://x').searchParams.get('to') ?? '/'
      answer(302, { location: to })
    })
    for (const to of [
      'http://host.example/',
      'file:///etc/passwd',
      'https://169.254.169.254/',
      'http://[',
    ]) {
      const asked = new URL(`/?to=${encodeURIComponent(to)}`, url)
      await expect(transport().request({ method: 'GET', url: asked })).rejects.toMatchObject({
        code: 'ERR_REGISTRY_UNSAFE_REDIRECT',
      })
    }
    await expect(transport().request({ method: 'GET', url })).rejects.toThrow(
      'more than 10 redirects',
    )
    const form = { method: 'POST', url, body: 'refresh_token=secret' } as const
    await expect(transport().request(form)).rejects.toThrow('a form is not sent on')
  })

  it('tells apart why a host cannot be reached', async () => {
    const closed = await serve((_, answer) => answer(200))
    await open.pop()?.close()
    await expect(get(closed)).rejects.toMatchObject({
      code: 'ERR_REGISTRY_UNREACHABLE',
      message: `cannot reach ${closed.host}: connection refused`,
      host: closed.host,
      method: 'GET',
      hint: expect.any(String),
    })
    await expect(get(new URL('https://registry.invalid/'))).rejects.toMatchObject({
      code: 'ERR_REGISTRY_NAME_RESOLUTION',
      message: 'cannot reach registry.invalid: name cannot be resolved',
      hint: expect.stringContaining('proxy'),
    })
  })

  it('recognises what is not HTTP, and what is no TLS', async () => {
    const port = await tcp('SSH-2.0-OpenSSH\r\n')
    await expect(get(new URL(`http://127.0.0.1:${port}/`))).rejects.toMatchObject({
      code: 'ERR_REGISTRY_PROTOCOL',
    })
    const url = await serve((_, answer) => answer(200))
    await expect(get(new URL(url.href.replace('http:', 'https:')))).rejects.toMatchObject({
      code: 'ERR_REGISTRY_TLS',
      message: expect.stringContaining('does not speak TLS'),
      hint: expect.stringContaining('plainHttp'),
    })
  })

  it('trusts the given certificate authority, and no other', async () => {
    const url = await serveTls()
    await expect(get(url)).rejects.toMatchObject({
      code: 'ERR_REGISTRY_TLS',
      message: expect.stringContaining('self-signed'),
      hint: expect.stringContaining('`ca`'),
    })
    const trusting = transport({ ca: LOOPBACK_CERTIFICATE.cert })
    expect((await trusting.request({ method: 'GET', url })).status).toBe(200)
    const alias = await serveTls('127.0.0.2')
    await expect(trusting.request({ method: 'GET', url: alias })).rejects.toMatchObject({
      code: 'ERR_REGISTRY_TLS',
      message: expect.stringContaining('for another name'),
    })
  })

  it('gives up on servers that do not answer, or stop in the middle', async () => {
    const silent = await serve(() => {})
    const timeouts = { headersMs: 50, bodyMs: 50 }
    const request = transport({ timeouts }).request({ method: 'GET', url: silent })
    await expect(request).rejects.toMatchObject({ code: 'ERR_REGISTRY_TIMEOUT', temporary: true })
    const stalling = await serve((_, __, response) => {
      response.writeHead(200, { 'content-length': 10 })
      response.write('half')
    })
    const response = await transport({ timeouts }).request({ method: 'GET', url: stalling })
    await expect(text(response.body)).rejects.toMatchObject({
      code: 'ERR_REGISTRY_TIMEOUT',
      message: expect.stringContaining('stalled'),
    })
  })

  it('reports a connection that is cut as temporary', async () => {
    const url = await serve((_, __, response) => {
      response.writeHead(200, { 'content-length': 10 })
      response.write('half', () => response.destroy())
    })
    const response = await transport().request({ method: 'GET', url })
    await expect(text(response.body)).rejects.toMatchObject({
      code: 'ERR_REGISTRY_UNREACHABLE',
      message: `lost ${url.host}: the connection was cut`,
      temporary: true,
    })
  })

  it('stops when the signal is aborted, before, at and after the head of the answer', async () => {
    const url = await serve((_, __, response) => response.writeHead(200).write('first'))
    const client = transport()
    const aborted = expect.objectContaining({ code: 'ERR_REGISTRY_ABORTED' })
    const request = (signal: AbortSignal) => client.request({ method: 'GET', url, signal })
    await expect(request(AbortSignal.abort())).rejects.toEqual(aborted)
    const silent = await serve(() => {})
    const late = AbortSignal.timeout(20)
    await expect(client.request({ method: 'GET', url: silent, signal: late })).rejects.toEqual(
      aborted,
    )
    const controller = new AbortController()
    const response = await request(controller.signal)
    setTimeout(() => controller.abort(), 10)
    await expect(text(response.body)).rejects.toEqual(aborted)
  })

  it('goes through the proxy, with its credentials, but not to this machine', async () => {
    const url = await serve((_, answer) => answer(200, {}, 'through'))
    const asked: IncomingMessage[] = []
    const proxy = await tunnel(url, asked)
    const settings = { http: `http://user:pass@${proxy}` }
    const client = transport({ proxy: settings })
    const far = await client.request({ method: 'GET', url: new URL('http://registry.invalid/x') })
    expect(await text(far.body)).toBe('through')
    expect(asked[0]).toMatchObject({ method: 'CONNECT', url: 'registry.invalid:80' })
    const sent = asked[0]?.headers['proxy-authorization'] ?? ''
    expect(Buffer.from(sent.replace('Basic ', ''), 'base64').toString()).toBe('user:pass')
    ;(await client.request({ method: 'GET', url })).cancel()
    expect(asked).toHaveLength(1)
  })

  it('says that the proxy stood between when it fails', async () => {
    const closed = await serve((_, answer) => answer(200))
    await open.pop()?.close()
    const client = transport({ proxy: { https: `http://user:pass@${closed.host}` } })
    const url = new URL('https://registry.invalid/')
    const failure = await client.request({ method: 'GET', url }).catch((error) => error)
    expect(failure).toMatchObject({
      code: 'ERR_REGISTRY_UNREACHABLE',
      message: 'cannot reach registry.invalid through the proxy: connection refused',
    })
    expect(JSON.stringify(failure)).not.toContain('pass')
  })

  it('does nothing more once closed', async () => {
    const url = await serve((_, answer) => answer(200))
    const client = transport()
    ;(await client.request({ method: 'GET', url })).cancel()
    await client.close()
    await client.close()
    await expect(client.request({ method: 'GET', url })).rejects.toMatchObject({
      code: 'ERR_REGISTRY_CLOSED',
    })
  })
})

function transport(options: TransportOptions = {}): Transport {
  const made = createTransport(options)
  open.push(made)
  return made
}

function get(url: URL) {
  return transport().request({ method: 'GET', url })
}

async function text(body: AsyncIterable<Uint8Array>): Promise<string> {
  let all = ''
  for await (const chunk of body) all += Buffer.from(chunk).toString()
  return all
}

type Answer = (status: number, headers?: Record<string, string>, body?: string) => void
type Handler = (
  request: IncomingMessage,
  answer: Answer,
  response: import('node:http').ServerResponse,
) => void

async function serve(handler: Handler): Promise<URL> {
  const server = createServer((request, response) => {
    handler(
      request,
      (status, headers, body) => response.writeHead(status, headers).end(body),
      response,
    )
  })
  return new URL(`http://127.0.0.1:${await listen(server)}/`)
}

async function serveTls(address = '127.0.0.1'): Promise<URL> {
  const server = createTlsServer(LOOPBACK_CERTIFICATE, (_, response) => response.end())
  return new URL(`https://${address}:${await listen(server, address)}/`)
}

async function tcp(banner: string): Promise<number> {
  const server = createTcpServer((socket) => {
    open.push({ close: () => socket.destroy() })
    socket.on('error', () => {}).once('data', () => socket.write(banner))
  })
  return listen(server)
}

/** A proxy that tunnels everything to one place. */
async function tunnel(target: URL, asked: IncomingMessage[]): Promise<string> {
  const server = createServer()
  server.on('connect', (request, socket) => {
    asked.push(request)
    const upstream = connect(Number(target.port), target.hostname, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      upstream.pipe(socket).pipe(upstream)
    })
    upstream.on('error', () => socket.destroy())
    socket.on('error', () => upstream.destroy())
    open.push({ close: () => upstream.destroy() }, { close: () => socket.destroy() })
  })
  return `127.0.0.1:${await listen(server)}`
}

async function listen(server: Server | TcpServer, address = '127.0.0.1'): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, address, resolve))
  open.push({
    close: () =>
      new Promise((resolve) => {
        server.close(resolve)
        if ('closeAllConnections' in server) server.closeAllConnections()
      }),
  })
  // A server that listens on TCP has an address of this form.
  return (server.address() as AddressInfo).port
}
