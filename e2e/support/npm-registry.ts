import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'

/** An npm registry on loopback: it takes what `npm publish` sends and serves it back, and knows nothing else. */
export interface NpmRegistry {
  url: string
  /** Offer an installed package, as if its authors had published it here too. */
  offer(directory: string): void
  /** Names of what was published. */
  published(): string[]
  close(): Promise<void>
}

interface Publication {
  name: string
  'dist-tags': Record<string, string>
  versions: Record<string, { dist: { tarball: string; shasum?: string; integrity?: string } }>
  _attachments?: Record<string, { data: string }>
}

/** Start an empty registry on a free port of 127.0.0.1. */
export async function createNpmRegistry(): Promise<NpmRegistry> {
  const documents = new Map<string, Publication>()
  const tarballs = new Map<string, Buffer>()
  const server = createServer((request, response) => {
    answer(request, response).catch((error) => response.writeHead(500).end(String(error)))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`

  return {
    url,
    offer,
    published: () => [...documents.keys()],
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = decodeURIComponent((request.url ?? '/').slice(1).split('?')[0] ?? '')
    if (request.method === 'PUT') {
      publish(JSON.parse((await read(request)).toString()))
      response.writeHead(201, { 'content-type': 'application/json' }).end('{"ok":true}')
      return
    }
    const tarball = tarballs.get(path)
    const document = documents.get(path)
    if (tarball) response.writeHead(200).end(tarball)
    else if (document) {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(document))
    } else
      response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":"not found"}')
  }

  function offer(directory: string): void {
    const manifest = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'))
    const tarball = execFileSync(
      'tar',
      ['-czf', '-', '--exclude=node_modules', '--transform=s,^\\.,package,', '-C', directory, '.'],
      { maxBuffer: 1 << 28 },
    )
    publish({
      name: manifest.name,
      'dist-tags': { latest: manifest.version },
      versions: { [manifest.version]: { ...manifest, dist: { tarball: '' } } },
      _attachments: { tarball: { data: tarball.toString('base64') } },
    })
  }

  function publish(publication: Publication): void {
    const { _attachments: attachments = {}, ...document } = publication
    const [data] = Object.values(attachments).map((attachment) =>
      Buffer.from(attachment.data, 'base64'),
    )
    if (data === undefined) throw new Error(`${document.name} was published without a tarball`)
    for (const [version, { dist }] of Object.entries(document.versions)) {
      const path = `tarballs/${document.name}/${version}.tgz`
      tarballs.set(path, data)
      dist.tarball = `${url}${path}`
      dist.integrity = `sha512-${createHash('sha512').update(data).digest('base64')}`
      delete dist.shasum
    }
    documents.set(document.name, document)
  }
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks)
}
