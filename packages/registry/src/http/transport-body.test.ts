import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { createTransport, type StreamedBody, type TransportOptions } from './transport.ts'

const open: Array<{ close(): unknown }> = []

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

describe('a request with a body', () => {
  it.for([
    ['in memory', Buffer.from('hello')],
    ['streamed', streamed('hel', 'lo').body],
    ['empty', streamed().body],
  ] as const)('has its length, and expects no word before it is sent: %s', async ([, body]) => {
    const seen: Array<[IncomingMessage, string]> = []
    const url = await serve(async (request, response) => {
      seen.push([request, await textOf(request)])
      response.writeHead(201).end()
    })
    const response = await transport().request({ method: 'PUT', url, body })
    response.cancel()
    expect(response.status).toBe(201)
    const text = body instanceof Uint8Array || body.size > 0 ? 'hello' : ''
    expect(seen[0]?.[1]).toBe(text)
    const headers = seen[0]?.[0].headers ?? {}
    expect(headers['content-length']).toBe(String(text.length))
    expect(headers['transfer-encoding']).toBeUndefined()
    expect(headers.expect).toBeUndefined()
  })

  it('is sent again where a redirect says so, and is not made a GET', async () => {
    const seen: string[] = []
    const url = await serve(async (request, response) => {
      seen.push(`${request.method} ${request.url} ${await textOf(request)}`)
      if (request.url === '/a') response.writeHead(307, { location: '/b' }).end()
      else if (request.url === '/c') response.writeHead(303, { location: '/b' }).end()
      else response.writeHead(201).end()
    })
    const { body, opened } = streamed('hello')
    const client = transport()
    const response = await client.request({ method: 'PUT', url: new URL('/a', url), body })
    response.cancel()
    expect(response.status).toBe(201)
    expect(seen).toEqual(['PUT /a hello', 'PUT /b hello'])
    expect(opened).toEqual({ times: 2, closed: 2 })
    await expect(
      client.request({ method: 'PUT', url: new URL('/c', url), body }),
    ).rejects.toMatchObject({
      code: 'ERR_REGISTRY_UNSAFE_REDIRECT',
      message: expect.stringContaining('status 303 does not repeat a PUT'),
    })
  })

  it('is let go when the answer comes before its end', async () => {
    const url = await serve((_, response) => {
      response.writeHead(401).end()
    })
    const { body, opened, done } = endless()
    const response = await transport().request({ method: 'PUT', url, body })
    expect(response.status).toBe(401)
    for await (const _ of response.body) {
      // nothing is in it
    }
    await done
    expect(opened).toEqual({ times: 1, closed: 1 })
  })

  it('leaves the server time to store it', async () => {
    const url = await serve((_, response) => {
      setTimeout(() => response.writeHead(201).end(), 700) // undici looks at its clock every 500 ms
    })
    const client = transport({ timeouts: { headersMs: 500 } })
    const request = { method: 'PUT', url, body: Buffer.from('blob') } as const
    const response = await client.request({ ...request, commits: true })
    response.cancel()
    expect(response.status).toBe(201)
  })

  it('fails with what its source failed with', async () => {
    const url = await serve(async (request, response) => {
      await textOf(request).catch(() => '')
      response.end()
    })
    const failure = new Error('the disk is gone')
    const body = {
      size: 10,
      async *open() {
        yield Buffer.from('12345')
        throw failure
      },
    }
    const request = transport().request({ method: 'PUT', url, body })
    await expect(request).rejects.toMatchObject({
      message: expect.stringContaining('disk is gone'),
    })
  })
})

function streamed(...parts: string[]) {
  const opened = { times: 0, closed: 0 }
  const body: StreamedBody = {
    size: parts.join('').length,
    async *open() {
      opened.times += 1
      try {
        for (const part of parts) yield Buffer.from(part)
      } finally {
        opened.closed += 1
      }
    },
  }
  return { body, opened }
}

/** A gigabyte, so that the answer surely comes first. */
function endless() {
  const opened = { times: 0, closed: 0 }
  const chunk = Buffer.alloc(64 * 1024)
  let settle = () => {}
  const done = new Promise<void>((resolve) => {
    settle = resolve
  })
  const body: StreamedBody = {
    size: 1024 ** 3,
    async *open() {
      opened.times += 1
      try {
        for (let sent = 0; sent < 1024 ** 3; sent += chunk.length) yield chunk
      } finally {
        opened.closed += 1
        settle()
      }
    },
  }
  return { body, opened, done }
}

function transport(options?: TransportOptions) {
  const made = createTransport(options)
  open.push(made)
  return made
}

async function serve(
  answer: (request: IncomingMessage, response: ServerResponse) => unknown,
): Promise<URL> {
  const server: Server = createServer((request, response) => void answer(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push({
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  })
  // A server that listens on TCP has an address of this form.
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
}

async function textOf(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
