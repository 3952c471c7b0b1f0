import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import type { AddressZone } from './address.ts'
import type { ResolveName } from './guarded-connect.ts'
import { LOOPBACK_CERTIFICATE } from './loopback-certificate.test.fixture.ts'
import type { Lead, NetworkPolicy } from './network-policy.ts'
import {
  createTransport,
  type HttpRequest,
  type Transport,
  type TransportOptions,
} from './transport.ts'

// All of 127.0.0.0/8 is here to listen on: each of these stands for a place in the world.
const PUBLIC = '127.0.1.1'
const OTHER_PUBLIC = '127.0.1.2'
const PRIVATE = '127.0.2.1'
const OTHER_PRIVATE = '127.0.2.2'
const LINK_LOCAL = '127.0.3.1'
const LOOPBACK = '127.0.0.1'

const open: Array<{ close(): unknown }> = []

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

const KINDS = ['realm', 'redirect', 'upload', 'foreign'] as const

describe('a public registry', () => {
  const inner = [
    ['a private address', PRIVATE, 'it is a private address'],
    ['this machine', LOOPBACK, 'it is an address of this machine'],
    ['a link-local address', LINK_LOCAL, 'it is a link-local address'],
  ] as const

  it.each(
    KINDS.flatMap((as) => inner.map(([what, address, why]) => [as, what, address, why] as const)),
  )('leads with a %s to no name of %s', async (as, _, address, why) => {
    const world = await createWorld({ 'registry.test': [PUBLIC], 'inner.test': [address] })
    const failure = await world.lead(as, 'registry.test', 'inner.test')
    expect(failure).toMatchObject({
      code: as === 'realm' ? 'ERR_REGISTRY_UNSAFE_REALM' : 'ERR_REGISTRY_UNSAFE_REDIRECT',
      message: expect.stringContaining(why),
      hint: expect.stringContaining('trustedRealms'),
    })
    expect(world.connectionsTo(address)).toBe(0)
  })

  it.each(KINDS)('leads with a %s to public addresses', async (as) => {
    const world = await createWorld({ 'registry.test': [PUBLIC], 'cdn.test': [OTHER_PUBLIC] })
    expect(await world.lead(as, 'registry.test', 'cdn.test')).toBe(200)
    expect(world.connectionsTo(OTHER_PUBLIC)).toBe(1)
  })

  it.each(KINDS)('leads with a %s to no private address in a URL', async (as) => {
    const world = await createWorld({ 'registry.test': [PUBLIC] })
    const by = world.url('registry.test', '/')
    for (const host of ['10.0.0.1', '0xa.1', '[::ffff:10.0.0.1]']) {
      const url = new URL(`https://${host}/`)
      const to = world.url('registry.test', `/?to=${encodeURIComponent(url.href)}`)
      const request = as === 'redirect' ? { url: to } : { url, led: { by, as } }
      expect(await world.ask({ method: 'GET', ...request })).toMatchObject({
        code: as === 'realm' ? 'ERR_REGISTRY_UNSAFE_REALM' : 'ERR_REGISTRY_UNSAFE_REDIRECT',
        message: expect.stringContaining('it is a private address'),
      })
    }
  })

  it('leads to no private address even where private registries may', async () => {
    const names = { 'registry.test': [PUBLIC], 'inner.test': [PRIVATE] }
    const world = await createWorld(names, { network: { allowPrivate: true } })
    expect(await world.lead('realm', 'registry.test', 'inner.test')).toMatchObject({
      code: 'ERR_REGISTRY_UNSAFE_REALM',
    })
  })

  it('leads to a private host that the caller trusts by name', async () => {
    const names = { 'registry.test': [PUBLIC], 'auth.test': [PRIVATE], 'inner.test': [PRIVATE] }
    const world = await createWorld(names, { network: { trustedRealms: ['auth.test'] } })
    expect(await world.lead('realm', 'registry.test', 'auth.test')).toBe(200)
    expect(await world.lead('realm', 'registry.test', 'inner.test')).toMatchObject({
      code: 'ERR_REGISTRY_UNSAFE_REALM',
    })
  })

  it('gains nothing by a name that first resolves to a public address and then to a private one', async () => {
    const answers = [[OTHER_PUBLIC], [PRIVATE]]
    const world = await createWorld({
      'registry.test': [PUBLIC],
      'cdn.test': () => answers.shift() ?? [],
    })
    expect(await world.lead('redirect', 'registry.test', 'cdn.test')).toBe(200)
    expect(await world.lead('redirect', 'registry.test', 'cdn.test')).toMatchObject({
      code: 'ERR_REGISTRY_UNSAFE_REDIRECT',
    })
    expect(world.connectionsTo(PRIVATE)).toBe(0)
  })

  it('gains nothing by a private address among public ones', async () => {
    const names = { 'registry.test': [PUBLIC], 'cdn.test': [PRIVATE, OTHER_PUBLIC] }
    const world = await createWorld(names)
    expect(await world.lead('redirect', 'registry.test', 'cdn.test')).toBe(200)
    expect(world.connectionsTo(PRIVATE)).toBe(0)
  })

  it.each(['https', 'http'] as const)(
    'gains nothing by a detour to a host that moves meanwhile, over %s',
    async (scheme) => {
      const answers = [[OTHER_PUBLIC], [PRIVATE]]
      const names = { 'registry.test': [PUBLIC], 'cdn.test': () => answers.shift() ?? [] }
      const world = await createWorld(names, { scheme })
      const last = world.url('cdn.test', '/end')
      const middle = world.url('cdn.test', `/?to=${encodeURIComponent(last.href)}`)
      const first = world.url('registry.test', `/?to=${encodeURIComponent(middle.href)}`)
      expect(await world.ask({ method: 'GET', url: first })).toMatchObject({
        code: 'ERR_REGISTRY_UNSAFE_REDIRECT',
      })
      expect(world.connectionsTo(PRIVATE)).toBe(0)
    },
  )

  it('does not become a private one by moving, while there is no TLS to tell it by', async () => {
    const answers = [[PUBLIC], [PRIVATE]]
    const world = await createWorld({ 'registry.test': () => answers.shift() ?? [] })
    const url = world.url('registry.test', '/')
    expect(await world.ask({ method: 'GET', url })).toBe(200)
    expect(await world.ask({ method: 'GET', url })).toMatchObject({
      code: 'ERR_REGISTRY_UNSAFE_REDIRECT',
    })
    expect(world.connectionsTo(PRIVATE)).toBe(0)
  })
})

describe('a private registry', () => {
  const names = {
    'registry.test': [PRIVATE],
    'same.test': [PRIVATE],
    'other.test': [OTHER_PRIVATE],
    'here.test': [LOOPBACK],
    'cdn.test': [PUBLIC],
  }

  const cases: Array<[policy: NetworkPolicy['allowPrivate'], to: string, allowed: boolean]> = [
    ['same-origin', 'same.test', true],
    ['same-origin', 'other.test', false],
    ['same-origin', 'here.test', false],
    ['same-origin', 'cdn.test', true],
    [true, 'other.test', true],
    [true, 'here.test', false],
    [false, 'same.test', false],
    [false, 'cdn.test', true],
  ]

  it.each(cases)('with allowPrivate %s leads to %s: %s', async (policy, to, allowed) => {
    const world = await createWorld(names, { network: { allowPrivate: policy ?? true } })
    const outcome = await world.lead('redirect', 'registry.test', to)
    if (allowed) expect(outcome).toBe(200)
    else expect(outcome).toMatchObject({ code: 'ERR_REGISTRY_UNSAFE_REDIRECT' })
  })

  it('leads within its own origin whatever is allowed', async () => {
    const world = await createWorld(names, { network: { allowPrivate: false } })
    const to = encodeURIComponent(world.url('registry.test', '/end').href)
    const url = world.url('registry.test', `/?to=${to}`)
    expect(await world.ask({ method: 'GET', url })).toBe(200)
  })
})

describe('behind a proxy', () => {
  it('hops to private addresses are refused where the URL shows them', async () => {
    const world = await createWorld({ 'registry.test': [PUBLIC] }, { proxied: true })
    const by = world.url('registry.test', '/')
    const url = new URL('https://10.0.0.1/token')
    const failure = await world.ask({ method: 'GET', url, led: { by, as: 'realm' } })
    expect(failure).toMatchObject({ code: 'ERR_REGISTRY_UNSAFE_REALM' })
    expect(world.tunnels).toEqual([])
  })

  it('names are the business of the proxy', async () => {
    const world = await createWorld(
      { 'registry.test': [PUBLIC], 'inner.test': [PRIVATE] },
      { proxied: true },
    )
    expect(await world.lead('redirect', 'registry.test', 'inner.test')).toBe(200)
    expect(world.tunnels.map((tunnel) => tunnel.replace(/:.*/, ''))).toEqual([
      'registry.test',
      'inner.test',
    ])
  })

  it('names of this machine and of metadata services are refused all the same', async () => {
    const world = await createWorld({ 'registry.test': [PUBLIC] }, { proxied: true })
    const by = world.url('registry.test', '/')
    for (const host of ['localhost', 'a.localhost', 'metadata.google.internal']) {
      const url = new URL(`https://${host}/`)
      expect(await world.ask({ method: 'GET', url, led: { by, as: 'redirect' } })).toMatchObject({
        code: 'ERR_REGISTRY_UNSAFE_REDIRECT',
      })
    }
    expect(world.tunnels).toEqual([])
  })
})

it('credentials, cookies and what is configured for a host stay with its origin', async () => {
  const world = await createWorld({ 'registry.test': [PUBLIC], 'cdn.test': [OTHER_PUBLIC] })
  const headers = {
    authorization: 'Bearer secret',
    cookie: 'session=secret',
    'x-api-key': 'secret',
    accept: 'a/b',
    range: 'bytes=0-1',
  }
  const to = encodeURIComponent(world.url('cdn.test', '/end').href)
  const url = world.url('registry.test', `/?to=${to}`)
  expect(await world.ask({ method: 'GET', url, headers })).toBe(200)
  const [first, second] = world.requests
  expect(first?.headers).toMatchObject(headers)
  expect(second?.headers).toMatchObject({ accept: 'a/b', range: 'bytes=0-1' })
  expect(JSON.stringify(second?.headers)).not.toContain('secret')
})

it('a host that the caller named may be anywhere', async () => {
  const names = {
    'a.test': [PRIVATE],
    'b.test': [LINK_LOCAL],
    'c.test': [PUBLIC],
    'd.test': [LOOPBACK],
  }
  const world = await createWorld(names)
  for (const name of Object.keys(names)) {
    expect(await world.ask({ method: 'GET', url: world.url(name, '/') })).toBe(200)
  }
})

function zoneOf(address: string): AddressZone {
  if (address.startsWith('127.0.1.')) return 'public'
  if (address.startsWith('127.0.2.') || address.startsWith('10.')) return 'private'
  if (address === '::ffff:a00:1') return 'private'
  return address === LINK_LOCAL ? 'link-local' : 'loopback'
}

type Names = Record<string, string[] | (() => string[])>

interface WorldOptions {
  /** Default `http`. */
  scheme?: 'http' | 'https'
  network?: NetworkPolicy
  proxied?: boolean
}

interface World {
  url(name: string, path: string): URL
  /** The status, or what was thrown. */
  ask(request: HttpRequest): Promise<unknown>
  /** Have one host lead to another. */
  lead(as: Lead['as'], by: string, to: string): Promise<unknown>
  connectionsTo(address: string): number
  requests: IncomingMessage[]
  tunnels: string[]
}

/** Servers at all addresses, on one port, and a client that knows the names. */
async function createWorld(
  names: Names,
  { network, proxied, scheme = 'http' }: WorldOptions = {},
): Promise<World> {
  const requests: IncomingMessage[] = []
  const connections = new Map<string, number>()
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    requests.push(request)
    const to = new URL(request.url ?? '/', 'http://x').searchParams.get('to')
    response.setHeader('connection', 'close')
    response.writeHead(to === null ? 200 : 307, to === null ? {} : { location: to }).end()
  }
  const addresses = [PUBLIC, OTHER_PUBLIC, PRIVATE, OTHER_PRIVATE, LINK_LOCAL, LOOPBACK]
  const makeServer =
    scheme === 'http' ? createServer : createTlsServer.bind(undefined, LOOPBACK_CERTIFICATE)
  const port = await listenEverywhere(addresses, (address) =>
    makeServer(answer).on('connection', () =>
      connections.set(address, (connections.get(address) ?? 0) + 1),
    ),
  )
  const hosts = Object.keys(names).map((name) => `${name}:${port}`)
  const tunnels: string[] = []
  const proxy = proxied ? { all: `http://${await startProxy(tunnels, port)}` } : {}
  const client = transport({
    plainHttp: hosts,
    resolveName: resolver(names),
    network: network ?? {},
    proxy,
  })
  const url = (name: string, path: string) => new URL(`${scheme}://${name}:${port}${path}`)
  const ask = (request: HttpRequest) =>
    client.request(request).then(
      (response) => {
        response.cancel()
        return response.status
      },
      (error: unknown) => error,
    )
  return {
    url,
    ask,
    async lead(as, by, to) {
      const target = url(to, '/end')
      const from = url(by, `/?to=${encodeURIComponent(target.href)}`)
      if (as === 'redirect') return ask({ method: 'GET', url: from })
      expect(await ask({ method: 'GET', url: url(by, '/') })).toBe(200)
      return ask({ method: 'GET', url: target, led: { by: from, as } })
    },
    connectionsTo: (address) => connections.get(address) ?? 0,
    requests,
    tunnels,
  }
}

/** One port that is free at all addresses. */
async function listenEverywhere(
  addresses: string[],
  makeServer: (address: string) => Server,
): Promise<number> {
  for (;;) {
    let port = 0
    try {
      for (const address of addresses) {
        port = await listen(makeServer(address), address, port)
      }
      return port
    } catch (error) {
      // Somebody else has this port at one of them: the next one then.
      if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')) throw error
    }
  }
}

function transport(options: TransportOptions): Transport {
  const made = createTransport(options, { zoneOf, tlsOf: async () => ({ insecure: true }) })
  open.push(made)
  return made
}

function resolver(names: Names): ResolveName {
  return (host, _, callback) => {
    const found = names[host]
    const addresses = typeof found === 'function' ? found() : found
    if (addresses === undefined)
      return callback(Object.assign(new Error('no'), { code: 'ENOTFOUND' }), [])
    callback(
      null,
      addresses.map((address) => ({ address, family: 4 })),
    )
  }
}

async function startProxy(tunnels: string[], port: number): Promise<string> {
  const server = createServer()
  server.on('connect', (request, socket) => {
    tunnels.push(request.url ?? '')
    const upstream = connect(port, PUBLIC, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      upstream.pipe(socket).pipe(upstream)
    })
    upstream.on('error', () => socket.destroy())
    socket.on('error', () => upstream.destroy())
    open.push({ close: () => upstream.destroy() }, { close: () => socket.destroy() })
  })
  return `127.0.0.1:${await listen(server, LOOPBACK, 0)}`
}

async function listen(server: Server, address: string, port: number): Promise<number> {
  server.listen(port, address)
  await once(server, 'listening')
  open.push({
    close: () =>
      new Promise((resolve) => {
        server.close(resolve)
        server.closeAllConnections()
      }),
  })
  // A server that listens on TCP has an address of this form.
  return (server.address() as AddressInfo).port
}
