import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseReference, type Reference } from '../image/reference.ts'
import {
  createTestRegistry,
  type TestRegistry,
  type TestRegistryOptions,
} from '../testing/index.ts'
import {
  createRegistryClient,
  type RegistryClient,
  type RegistryClientOptions,
} from './registry-client.ts'

/** A request as a scripted server sees it. */
export interface SeenRequest {
  method: string
  url: string
  headers: Record<string, string | string[] | undefined>
  authorization: string | undefined
  body: string
}

/** What a scripted server says. */
export type ScriptedAnswer = [status: number, headers?: Record<string, string>, body?: unknown]

/** What a test of the client opens, to be closed after it. */
export interface Bench {
  connect(options?: RegistryClientOptions): RegistryClient
  /** A test registry, a client for it whose first contact is behind it, and a name there. */
  start(
    options?: TestRegistryOptions,
    client?: (host: string) => RegistryClientOptions,
  ): Promise<{ registry: TestRegistry; client: RegistryClient; reference: Reference }>
  /** A server that answers whatever the test wants; resolves to its host. */
  serve(answer: (request: SeenRequest, host: string) => ScriptedAnswer): Promise<string>
  close(): Promise<void>
}

/** Servers and clients that end with {@link Bench.close}. */
export function createBench(): Bench {
  const open: Array<{ close(): Promise<void> }> = []

  const connect: Bench['connect'] = (options = {}) => {
    const client = createRegistryClient({ retry: { attempts: 3, baseMs: 1 }, ...options })
    open.push(client)
    return client
  }

  return {
    connect,
    async start(options = {}, clientOptions = () => ({})) {
      const registry = await createTestRegistry(options)
      open.push(registry)
      const client = connect(clientOptions(registry.host))
      await client.ping(registry.host).catch(() => {}) // how it is spoken to is found out only once
      registry.requests.length = 0
      return { registry, client, reference: parseReference(`${registry.host}/team/app`) }
    },
    async serve(answer) {
      const server = createServer(async (request, response) => {
        const { method = '', url = '', headers } = request
        const chunks: Uint8Array[] = []
        for await (const chunk of request) chunks.push(chunk)
        const body = Buffer.concat(chunks).toString()
        const { authorization } = headers
        const [status, fields = {}, document] = answer(
          { method, url, headers, authorization, body },
          host,
        )
        response.writeHead(status, fields)
        response.end(document === undefined ? '' : JSON.stringify(document))
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      open.push({
        close: async () => {
          server.closeAllConnections()
          server.close()
        },
      })
      // A server that listens on TCP has an address of this form.
      const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
      return host
    },
    async close() {
      for (const each of open.splice(0).reverse()) await each.close()
    },
  }
}

/** All that an iteration gives. */
export async function listOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}
