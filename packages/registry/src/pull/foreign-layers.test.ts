import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { staticCredentials } from '../auth/credentials.ts'
import { createRegistryClient } from '../client/registry-client.ts'
import { digestOf } from '../image/digest.ts'
import { type ImageLayout, openImageLayout } from '../layout/image-layout.ts'
import { createTestRegistry, makeImage, makeLayer, type TestRegistry } from '../testing/index.ts'
import { type PullOptions, pull } from './pull.ts'

const FOREIGN = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip'
const own = makeLayer({ own: 'own' })
const foreign = makeLayer({ foreign: 'foreign' })

let directory: string
let layout: ImageLayout
/** What the publisher's server was asked. */
let asked: IncomingMessage[]
/** What it answers with. */
let served: Buffer
let publisher: string
const open: Array<{ close(): Promise<void> }> = []

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cromwell-foreign-'))
  layout = openImageLayout(directory)
  asked = []
  served = foreign.blob
  const server = createServer((request, response) => {
    asked.push(request)
    if (request.url !== '/layer') response.writeHead(404)
    response.end(request.url === '/layer' ? served : '')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // A server that listens on TCP has an address of this form.
  publisher = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  open.push({ close: () => new Promise((resolve) => server.close(() => resolve())) })
})

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
  await rm(directory, { recursive: true, force: true })
})

describe('pull, of a foreign layer', () => {
  it('fetches it from its publisher, without credentials', async () => {
    const registry = await start([`${publisher}/elsewhere`, `${publisher}/layer`])
    const { image } = await pulled(registry)
    expect(foreign.blob.equals(await readFile(layout.blobPath(foreign.digest)))).toBe(true)
    expect(asked.map(({ url }) => url)).toEqual(['/elsewhere', '/layer'])
    expect(asked.some(({ headers }) => 'authorization' in headers)).toBe(false)
    expect(image.layers[1]?.mediaType).toContain('nondistributable')
    expect(await pulled(registry)).toMatchObject({ status: 'up-to-date' })
  })

  it('asks the registry first', async () => {
    const registry = await start([`${publisher}/layer`], { registryHasIt: true })
    await pulled(registry)
    expect(asked).toEqual([])
  })

  it('verifies it', async () => {
    const registry = await start([`${publisher}/layer`])
    served = Buffer.from(foreign.blob)
    served[3] = (served[3] ?? 0) ^ 1
    await expect(pulled(registry)).rejects.toMatchObject({ code: 'ERR_REGISTRY_DIGEST_MISMATCH' })
    expect(await layout.has(foreign)).toBe(false)
  })

  it('leaves it out where that is wanted, and has the rest', async () => {
    const registry = await start([`${publisher}/layer`])
    for (const status of ['downloaded', 'up-to-date']) {
      expect(await pulled(registry, { foreignLayers: 'skip' })).toMatchObject({ status })
    }
    expect(asked).toEqual([])
    expect([await layout.has(own), await layout.has(foreign)]).toEqual([true, false])
    expect(await pulled(registry)).toMatchObject({ status: 'downloaded' })
    expect(await layout.has(foreign)).toBe(true)
  })

  it.each([
    ['file:///etc/passwd', 'is not HTTP'],
    ['http://ann:secret@127.0.0.1/layer', 'it holds credentials'],
    ['http://169.254.169.254/latest/meta-data', 'link-local'],
    ['not a URL', 'it is not a URL'],
  ])('does not ask %s', async (url, why) => {
    const registry = await start([url])
    await expect(pulled(registry)).rejects.toMatchObject({
      code: 'ERR_REGISTRY_UNSAFE_REDIRECT',
      message: expect.stringMatching(why),
    })
  })

  it('does not go anywhere for a layer of an ordinary type, whatever its urls', async () => {
    const registry = await start([`${publisher}/layer`], { mediaType: foreign.mediaType })
    await expect(pulled(registry)).rejects.toMatchObject({ code: 'ERR_REGISTRY_NOT_FOUND' })
    expect(asked).toEqual([])
  })
})

async function start(
  urls: string[],
  { registryHasIt = false, mediaType = FOREIGN } = {},
): Promise<TestRegistry> {
  const registry = await createTestRegistry({ auth: 'basic', users: { ann: 'secret' } })
  open.push(registry)
  const image = makeImage({ layers: [own, foreign], format: 'docker' })
  const document = JSON.parse(image.manifest.bytes.toString())
  Object.assign(document.layers[1], { mediaType, urls })
  const bytes = Buffer.from(JSON.stringify(document))
  const descriptor = { ...image.manifest.descriptor, digest: digestOf(bytes), size: bytes.length }
  const layers = registryHasIt ? [own, foreign] : [own]
  registry.addImage('team/app:1', { ...image, layers, manifest: { descriptor, bytes } })
  return registry
}

async function pulled(registry: TestRegistry, options: Partial<PullOptions> = {}) {
  const credentials = staticCredentials(registry.host, 'ann', 'secret')
  const plainHttp = [registry.host]
  const client = createRegistryClient({ credentials, plainHttp, retry: { baseMs: 1 } })
  open.push(client)
  return pull(`${registry.host}/team/app:1`, layout, { ...options, client })
}
