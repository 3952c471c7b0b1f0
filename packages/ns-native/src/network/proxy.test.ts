import { once } from 'node:events'
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type RequestListener,
} from 'node:http'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, expect, onTestFinished, test, vi } from 'vitest'
import { createProxy } from './create-proxy.ts'
import type { ProxyOptions } from './gatekeeper.ts'
import type { NetworkProxy } from './proxy.ts'
import { proxyEnvironment } from './proxy-environment.ts'

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp()
})

async function portOf(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

async function startProxy(options: ProxyOptions): Promise<{ proxy: NetworkProxy; port: number }> {
  const proxy = await createProxy(options)
  let port = 0
  await proxy.serve({
    serve: async (server) => {
      port = await portOf(server)
    },
  })
  cleanUps.push(() => proxy.close())
  return { proxy, port }
}

async function startWeb(
  listener: RequestListener,
): Promise<{ port: number; seen: IncomingMessage[] }> {
  const seen: IncomingMessage[] = []
  const server = createHttpServer((request, response) => {
    seen.push(request)
    listener(request, response)
  })
  const port = await portOf(server)
  cleanUps.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port, seen }
}

const echoBody: RequestListener = (request, response) => request.pipe(response)

/** What comes back for bytes, until the proxy ends the connection. */
async function say(port: number, ...bytes: (string | Buffer)[]): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  for (const part of bytes) socket.write(part)
  return text(socket)
}

const get = (url: string, ...headers: string[]) =>
  `GET ${url} HTTP/1.1\r\n${['Host: x', 'Connection: close', ...headers].join('\r\n')}\r\n\r\n`
const connectTo = (authority: string) =>
  `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`

/** A policy that leads every name to one local server. */
const leadTo = (port: number): ProxyOptions => ({
  onRequest: () => ({ action: 'allow', connectTo: { host: '127.0.0.1', port } }),
})

test('a plain request is made anew: same method, path, headers and body', async () => {
  const web = await startWeb(echoBody)
  const { port } = await startProxy(leadTo(web.port))
  const answer = await say(
    port,
    'POST http://Example.ORG:8080/a/../b?c=%64#e HTTP/1.1\r\nHost: evil.test\r\nHost: x\r\n'.replace(
      'Host: x\r\n',
      '',
    ),
    'Connection: close, X-Hop\r\nX-Hop: 1\r\nX-End: 2\r\nx-end: 3\r\nProxy-Authorization: secret\r\nTE: trailers\r\n',
    'Keep-Alive: 5\r\nProxy-Connection: keep-alive\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello',
  )
  expect(answer).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK\r\n/)
  expect(answer).toContain('hello')
  const [request] = web.seen
  expect(request?.method).toBe('POST')
  expect(request?.url).toBe('/a/../b?c=%64')
  expect(request?.rawHeaders).toEqual([
    ...['Host', 'example.org:8080', 'X-End', '2', 'x-end', '3', 'Content-Length', '5'],
    ...['Connection', 'close'],
  ])
})

test('bodies of any framing arrive, and nothing is added to none', async () => {
  const web = await startWeb(echoBody)
  const { port } = await startProxy(leadTo(web.port))
  const chunked =
    'Host: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n'
  expect(await say(port, `PUT http://x/ HTTP/1.1\r\n${chunked}`)).toContain('abc')
  expect(await say(port, `GET http://x/ HTTP/1.1\r\n${chunked}`)).toContain('abc')
  await say(port, 'POST http://x/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  expect(web.seen[2]?.headers['content-length']).toBe('0')
  await say(port, get('http://x'))
  expect(web.seen[3]?.url).toBe('/')
  expect(web.seen[3]?.headers).toEqual({ host: 'x', connection: 'close' })
})

test('many requests on one connection are asked for and answered one by one', async () => {
  const web = await startWeb((request, response) => response.end(`<${request.url}>`))
  const onRequest = vi.fn(leadTo(web.port).onRequest ?? (() => 'deny' as const))
  const { port } = await startProxy({ onRequest })
  const first = Array.from(
    { length: 20 },
    (_, i) => `GET http://x/${i} HTTP/1.1\r\nHost: x\r\n\r\n`,
  )
  const answer = await say(port, first.join(''), get('http://x/last'))
  expect([...answer.matchAll(/<\/(\w+)>/g)].map(([, name]) => name)).toEqual([
    ...Array.from({ length: 20 }, (_, i) => `${i}`),
    'last',
  ])
  expect(onRequest).toHaveBeenCalledTimes(21)
})

test('an answer keeps its repeated headers and status, and loses what was of the other connection', async () => {
  const web = await startWeb((_, response) => {
    response.writeHead(418, 'Short and stout', [
      ...[
        'Set-Cookie',
        'a=1',
        'Set-Cookie',
        'b=2',
        'Proxy-Authenticate',
        'Basic',
        'Keep-Alive',
        '1',
      ],
      ...['X-Hop', '1', 'Connection', 'X-Hop', 'Date', 'today'],
    ])
    response.end('tea')
  })
  const { port } = await startProxy(leadTo(web.port))
  const [head] = (await say(port, get('http://x/'))).split('\r\n\r\n')
  expect(head?.split('\r\n').filter((line) => !/^(connection|transfer)/i.test(line))).toEqual([
    'HTTP/1.1 418 Short and stout',
    'Set-Cookie: a=1',
    'Set-Cookie: b=2',
    'Date: today',
  ])
})

test('an answer that is cut off does not look complete', async () => {
  const web = await startWeb((_, response) => {
    response.writeHead(200, { 'Content-Length': '100' })
    response.write('half')
    setTimeout(() => response.destroy(), 20)
  })
  const { port } = await startProxy(leadTo(web.port))
  const response = await say(port, get('http://x/'))
  expect(response).toContain('half')
  expect(response).toContain('Content-Length: 100')
  const chunked = await startWeb((_, response) => {
    response.write('half')
    setTimeout(() => response.destroy(), 20)
  })
  const other = await startProxy(leadTo(chunked.port))
  const cut = await say(other.port, get('http://x/')).catch((error) => error.code)
  expect(cut).not.toContain('\r\n0\r\n')
})

test('CONNECT is a tunnel, also for bytes that come with the request; each direction ends by itself', async () => {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let said = ''
    socket.on('data', (chunk) => {
      said += chunk
    })
    socket.on('end', () => socket.end(`you said ${said}`))
  })
  const { proxy, port } = await startProxy(leadTo(await portOf(server)))
  cleanUps.push(() => server.close())
  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  client.write(`${connectTo('example.org:443')}ear`)
  client.write('l')
  client.once('data', () => client.end('y'))
  expect(await text(client)).toBe('HTTP/1.1 200 Connection established\r\n\r\nyou said early')
  await vi.waitFor(() =>
    expect(proxy.traffic()).toEqual({
      'example.org': { connections: 1, bytesSent: 5, bytesReceived: 14 },
    }),
  )
})

test('a WebSocket is upgraded in plain HTTP, and speaks', async () => {
  const server = createHttpServer().on('upgrade', (request, socket) => {
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n',
    )
    socket.write(`X-Key: ${request.headers['sec-websocket-key']}\r\n\r\nwelcome `)
    socket.pipe(socket)
  })
  const { port } = await startProxy(leadTo(await portOf(server)))
  cleanUps.push(() => server.close())
  const upgrade = ['Host: x', 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Key: k']
  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  client.write(`GET http://x/ws HTTP/1.1\r\n${upgrade.join('\r\n')}\r\n\r\nhel`)
  client.once('data', () => client.end('lo'))
  const answer = await text(client)
  expect(answer).toContain('101 Switching Protocols')
  expect(answer).toContain('X-Key: k\r\n\r\nwelcome hello')
})

test('an upgrade to anything else, and one that the server does not want, stay HTTP', async () => {
  const web = await startWeb((request, response) =>
    response.end(`upgrade: ${request.headers.upgrade}`),
  )
  const { port } = await startProxy(leadTo(web.port))
  const ask = (to: string) =>
    `GET http://x/ HTTP/1.1\r\nHost: x\r\nUpgrade: ${to}\r\nConnection: Upgrade\r\n\r\n`
  expect(await say(port, ask('h2c'))).toMatch(/^HTTP\/1.1 200 OK.*upgrade: undefined/s)
  expect(await say(port, ask('websocket'))).toMatch(/^HTTP\/1.1 200 OK.*upgrade: websocket/s)
})

const socks = (address: Buffer, port: number, command = 1) =>
  Buffer.concat([Buffer.from([5, command, 0]), address, Buffer.from([port >> 8, port & 255])])
const named = (name: string) => Buffer.from([3, name.length, ...Buffer.from(name)])

test('SOCKS5 on the same port: names and addresses, in whatever pieces they come', async () => {
  const server = createServer((socket) => socket.end('hello'))
  const onRequest = vi.fn(leadTo(await portOf(server)).onRequest ?? (() => 'deny' as const))
  cleanUps.push(() => server.close())
  const { port } = await startProxy({ onRequest })
  const v6 = Buffer.from([4, ...new Array(15).fill(0), 1])
  for (const address of [named('Example.org'), Buffer.from([1, 192, 0, 2, 1]), v6]) {
    const client = connect(port, '127.0.0.1')
    for (const byte of [5, 2, 1, 0, ...socks(address, 443)]) {
      client.write(Buffer.from([byte]))
      await new Promise((resolve) => setImmediate(resolve))
    }
    const granted = Buffer.from([5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).toString()
    expect(await text(client)).toBe(`${granted}hello`)
  }
  expect(
    onRequest.mock.calls.map(([{ host, port, protocol }]) => `${protocol} ${host} ${port}`),
  ).toEqual(['socks example.org 443', 'socks 192.0.2.1 443', 'socks ::1 443'])
})

test('SOCKS5 says no: to what is not allowed, not CONNECT, without a name, and with a password', async () => {
  const { port } = await startProxy({})
  const ask = async (...bytes: Buffer[]) => [...Buffer.from(await say(port, ...bytes), 'latin1')]
  const greeting = Buffer.from([5, 1, 0])
  expect((await ask(greeting, socks(named('x.test'), 443))).slice(0, 4)).toEqual([5, 0, 5, 2])
  expect((await ask(greeting, socks(named('x.test'), 443, 2))).slice(0, 4)).toEqual([5, 0, 5, 7])
  expect((await ask(greeting, socks(named('a b'), 443))).slice(0, 4)).toEqual([5, 0, 5, 8])
  expect((await ask(Buffer.from([5, 1, 2]))).slice(0, 2)).toHaveLength(2)
  expect(await ask(greeting, Buffer.from([4, 1, 0, 1]))).toEqual([5, 0])
})

test('what no list and no function allows is refused, and written down', async () => {
  const onViolation = vi.fn()
  const { proxy, port } = await startProxy({
    allow: ['good.test'],
    deny: ['*.evil.test'],
    onViolation,
  })
  const answer = await say(port, get('http://bad.test/path?q'))
  expect(answer).toMatch(/^HTTP\/1.1 403 Forbidden\r\n/)
  expect(answer).toContain('bad.test:80: nothing in the policy allows it')
  expect(await say(port, connectTo('a.evil.test:443'))).toMatch(
    /^HTTP\/1.1 403 .*the policy denies it/s,
  )
  expect(await say(port, connectTo('good.test:22'))).toMatch(/^HTTP\/1.1 403 /)
  const [first, second, third] = proxy.violations
  expect(first).toEqual({
    ...{ kind: 'net', protocol: 'http', method: 'GET', host: 'bad.test', port: 80 },
    ...{ url: 'http://bad.test/path?q', refusal: 'not-allowed', time: expect.any(Date) },
    reason: 'nothing in the policy allows it',
  })
  expect(second).toMatchObject({ protocol: 'connect', host: 'a.evil.test', refusal: 'denied' })
  expect(third).toMatchObject({ host: 'good.test', port: 22 })
  expect(onViolation.mock.calls).toEqual([[first], [second], [third]])
  expect(proxy.violationCount).toBe(3)
  expect(proxy.traffic()).toEqual({})
})

test('a function decides, in its own time, about each request that no list decides', async () => {
  const web = await startWeb(echoBody)
  const asked: string[] = []
  const { proxy, port } = await startProxy({
    allow: [`127.0.0.1:${web.port}`],
    onRequest: async ({ method, url, host }) => {
      asked.push(`${method} ${url}`)
      await new Promise((resolve) => setTimeout(resolve, 10))
      if (host === 'broken.test') throw new Error('no idea')
      if (host === 'odd.test') return 'maybe' as 'deny'
      if (method !== 'GET') return { action: 'deny', reason: 'reading only' }
      return { action: 'allow', connectTo: { host: '127.0.0.1', port: web.port } }
    },
  })
  expect(await say(port, get(`http://127.0.0.1:${web.port}/`))).toContain('200 OK')
  expect(asked).toEqual([])
  expect(await say(port, get('http://x.test/'))).toContain('200 OK')
  const post = 'POST http://x.test/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
  expect(await say(port, post)).toContain('x.test:80: reading only')
  expect(asked).toEqual(['GET http://x.test/', 'POST http://x.test/'])
  const broken = await say(port, get('http://broken.test/'))
  expect(broken).toContain('403')
  expect(broken).not.toContain('no idea')
  expect(await say(port, get('http://odd.test/'))).toContain('403')
  expect(proxy.violations.map(({ refusal }) => refusal)).toEqual([
    'denied',
    'policy-failed',
    'denied',
  ])
})

test.each([
  ['CONNECT', connectTo('x.test:443')],
  ['a request', 'GET http://x.test/ HTTP/1.1\r\nHost: x.test\r\n\r\n'],
  ['SOCKS5', Buffer.concat([Buffer.from([5, 1, 0]), socks(named('x.test'), 443)])],
])('a client that goes away takes its question back: %s', async (_, question) => {
  const aborted = new Promise((resolve) => {
    startProxy({
      onRequest: ({ signal }) =>
        new Promise<'deny'>((decide) => {
          signal.addEventListener('abort', () => {
            decide('deny')
            resolve('aborted')
          })
        }),
    }).then(({ port }) => {
      const client = connect(port, '127.0.0.1', () => client.write(question))
      setTimeout(() => client.destroy(), 50)
    })
  })
  expect(await aborted).toBe('aborted')
})

test.each([
  ['a name that is allowed', { allow: ['rebind.test:*', '*.test:*'] }, 'rebind.test'],
  ['a name that a function allows', { onRequest: () => 'allow' as const }, 'rebind.test'],
  ['an address, where all is allowed', { allow: ['*:*'] }, '127.0.0.1'],
  ['an address in other words', { allow: ['*:*'] }, '2130706433'],
  ['an IPv6 address that is one', { allow: ['*:*'] }, '[::ffff:127.0.0.1]'],
  ['an address that a function allows', { onRequest: () => 'allow' as const }, '127.0.0.1'],
])('DNS rebinding: %s does not lead to this machine', async (_, options, host) => {
  const web = await startWeb(echoBody)
  const lookup = async () => ['127.0.0.1', '::1', '10.0.0.1', '169.254.169.254']
  const { proxy, port } = await startProxy({ ...options, lookup })
  for (const request of [get(`http://${host}:${web.port}/`), connectTo(`${host}:${web.port}`)]) {
    const answer = await say(port, request)
    expect(answer).toMatch(/^HTTP\/1.1 403 .*its address is private/s)
    expect(answer).not.toContain('10.0.0.1')
  }
  expect(proxy.violations.map(({ refusal }) => refusal)).toEqual([
    'private-address',
    'private-address',
  ])
  expect(web.seen).toEqual([])
})

test('a private address that is meant can be reached: by its name, by its network, by a decision', async () => {
  const web = await startWeb(echoBody)
  const lookup = async () => ['127.0.0.1']
  const decide = () => ({ action: 'allow', privateAddresses: true }) as const
  for (const [options, host] of [
    [{ allow: [`127.0.0.1:${web.port}`] }, '127.0.0.1'],
    [{ allow: [`localhost:${web.port}`], lookup }, 'localhost'],
    [{ allow: ['own.test:*'], privateAddresses: ['127.0.0.0/8'], lookup }, 'own.test'],
    [{ onRequest: decide, lookup }, 'own.test'],
  ] as const) {
    const { port } = await startProxy(options)
    expect(await say(port, get(`http://${host}:${web.port}/`))).toContain('200 OK')
  }
})

test('a name is resolved once, and what was checked is what is connected to', async () => {
  const web = await startWeb(echoBody)
  const lookup = vi.fn(async () => (lookup.mock.calls.length > 1 ? ['127.0.0.1'] : ['127.0.0.2']))
  const { port } = await startProxy({
    allow: ['two.test:*'],
    privateAddresses: ['127.0.0.2'],
    lookup,
  })
  expect(await say(port, get(`http://two.test:${web.port}/`))).toContain('502')
  expect(lookup).toHaveBeenCalledTimes(1)
  expect(await say(port, get(`http://two.test:${web.port}/`))).toContain('403')
  expect(web.seen).toEqual([])
})

test('hosts that do not exist, refuse or keep silent are the gateway’s errors, and no violations', async () => {
  const closed = createServer()
  const port = await portOf(closed)
  closed.close()
  const { proxy, port: proxyPort } = await startProxy({
    allow: [`127.0.0.1:${port}`, 'none.test'],
    lookup: async () => {
      throw Object.assign(new Error('not found'), { code: 'ENOTFOUND' })
    },
  })
  expect(await say(proxyPort, connectTo(`127.0.0.1:${port}`))).toMatch(
    /^HTTP\/1.1 502 .*ECONNREFUSED/s,
  )
  expect(await say(proxyPort, get('http://none.test/'))).toMatch(/^HTTP\/1.1 502 .*ENOTFOUND/s)
  expect(proxy.violations).toEqual([])
})

test.each([
  ['a path alone', get('/')],
  ['another scheme', get('https://example.org/')],
  ['a scheme that is none', get('file:///etc/passwd')],
  ['a user in the URL', get('http://user@example.org/')],
  ['a port too high', get('http://example.org:65536/')],
  ['no host', get('http:///')],
  ['a star', 'OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'],
  ['a backslash for a slash', get('http://example.org\\@evil.test/')],
  ['CONNECT without a port', connectTo('example.org')],
  ['CONNECT to a URL', connectTo('http://example.org:443')],
  ['CONNECT to nothing', connectTo(':443')],
  ['CONNECT to a zone', connectTo('[fe80::1%25lo]:443')],
  ['two lengths', get('http://x/', 'Content-Length: 1', 'Content-Length: 2')],
  ['a length and chunks', get('http://x/', 'Content-Length: 1', 'Transfer-Encoding: chunked')],
  ['a header that is folded', get('http://x/', 'X-A: 1', ' 2')],
  ['a space before the colon', get('http://x/', 'Transfer-Encoding : chunked')],
  ['a header without end', `GET http://x/ HTTP/1.1\r\nHost: ${'x'.repeat(20_000)}`],
  ['noise', `${'\u0001\u0002\u0003'.repeat(100)}\r\n\r\n`],
  ['TLS', Buffer.from('16030100c8010000c40303', 'hex')],
])('nonsense is refused and asks nobody: %s', async (_, bytes) => {
  const onRequest = vi.fn(() => 'deny' as const)
  const { port } = await startProxy({ onRequest })
  expect(await say(port, bytes)).toMatch(/^HTTP\/1.1 4\d\d /)
  expect(onRequest).not.toHaveBeenCalled()
})

test('a coding that the next server might read otherwise is refused', async () => {
  const { port } = await startProxy({ onRequest: () => 'allow' })
  const answer = await say(port, get('http://x/', 'Transfer-Encoding: gzip, chunked'), '0\r\n\r\n')
  expect(answer).toMatch(/^HTTP\/1.1 (400|501) /)
})

test('more connections than are allowed are closed, and the others served', async () => {
  const web = await startWeb(echoBody)
  const { port } = await startProxy({ ...leadTo(web.port), maxConnections: 2 })
  const idle = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')]
  await Promise.all(idle.map((socket) => once(socket, 'connect')))
  const third = connect(port, '127.0.0.1')
  third.on('error', () => {})
  await once(third, 'close')
  idle[0]?.destroy()
  await vi.waitFor(async () => expect(await say(port, get('http://x/'))).toContain('200 OK'))
  idle[1]?.destroy()
})

test('closing ends tunnels that are open', async () => {
  const server = createServer((socket) => socket.write('hello'))
  const { proxy, port } = await startProxy(leadTo(await portOf(server)))
  const client = connect(port, '127.0.0.1', () => client.write(connectTo('x.test:443')))
  onTestFinished(() => {
    server.close()
  })
  await once(client, 'data')
  await proxy.close()
  await new Promise((resolve) => client.once('close', resolve).resume())
})

test.each([
  [{ allow: ['https://example.org'] }, '/allow/0', 'leave out the scheme'],
  [{ deny: ['good.test', 'bad test'] }, '/deny/1', 'bad test'],
  [{ privateAddresses: ['nonsense'] }, '/privateAddresses', 'nonsense'],
])('a policy that makes no sense is an error: %j', async (options, pointer, words) => {
  await expect(createProxy(options)).rejects.toMatchObject({
    code: 'ERR_NS_POLICY',
    pointer,
    message: expect.stringContaining(words),
  })
})

test('the environment names the proxy in both spellings, and leaves loopback alone', () => {
  expect(proxyEnvironment(1234)).toMatchObject({
    HTTPS_PROXY: 'http://127.0.0.1:1234',
    http_proxy: 'http://127.0.0.1:1234',
    no_proxy: 'localhost,127.0.0.1,::1',
  })
})
