import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { requires, requiresProgram } from '@cromwell/test-support'
import { afterAll, afterEach, beforeAll, describe, expect, it, type TestContext } from 'vitest'
import { bytesSource } from '../client/blob-source.ts'
import { createRegistryClient, type RegistryClient } from '../client/registry-client.ts'
import { digestOf } from '../image/digest.ts'
import { parseReference } from '../image/reference.ts'
import { openImageLayout } from '../layout/image-layout.ts'
import { layoutStore } from '../store/layout-store.ts'
import { makeImage, makeLayer } from '../testing/index.ts'
import { type DockerRegistry, startDockerRegistry } from './docker-registry.test.fixture.ts'
import { push } from './push.ts'

// The reference implementation of a registry, as Debian ships it; what it has is read back by skopeo.
const run = promisify(execFile)
const checkout = fileURLToPath(new URL('../../../../', import.meta.url))
const images = process.env['CROMWELL_TEST_IMAGES'] ?? join(checkout, '../shared/images')
const servers = new Map<boolean, Promise<DockerRegistry>>()
const clients: RegistryClient[] = []
let directory: string
let repositories = 0

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cromwell-push-'))
})

afterEach(async () => {
  for (const client of clients.splice(0)) await client.close()
})

afterAll(async () => {
  for (const server of servers.values()) await (await server).stop()
  await rm(directory, { recursive: true, force: true })
})

describe('with docker-registry', () => {
  it.for([
    ['at once', {}],
    ['in chunks', { chunkBytes: 100_000 }],
    ['in one POST, which it answers with a session', { singlePost: true }],
  ] as const)('uploads a blob %s', async ([, options], context) => {
    const { client, team } = await start(context)
    const reference = parseReference(`${team}/app`)
    const bytes = randomBytes(1_000_001)
    const source = bytesSource(bytes)
    const sent: number[] = []
    const call = { ...options, onProgress: (count: number) => sent.push(count) }
    expect(await client.hasBlob(reference, source.descriptor)).toBe(false)
    expect(await client.pushBlob(reference, source, call)).toBe('uploaded')
    expect(digestOf(await client.readBlob(reference, source.descriptor))).toBe(digestOf(bytes))
    expect(await client.hasBlob(reference, source.descriptor)).toBe(true)
    expect(await client.pushBlob(reference, source, call)).toBe('exists')
    expect(sent.at(-1)).toBe(bytes.length)
  })

  it('uploads an empty blob, and one under a sha512 digest', async (context) => {
    const { client, team } = await start(context)
    const reference = parseReference(`${team}/app`)
    for (const source of [
      bytesSource(new Uint8Array()),
      bytesSource(Buffer.from('long'), { algorithm: 'sha512' }),
    ]) {
      expect(await client.pushBlob(reference, source)).toBe('uploaded')
      expect(await client.hasBlob(reference, source.descriptor)).toBe(true)
    }
  })

  it('mounts a blob from another repository', async (context) => {
    const { client, team } = await start(context)
    const source = bytesSource(randomBytes(1000))
    await client.pushBlob(parseReference(`${team}/base`), source)
    const target = parseReference(`${team}/app`)
    const namespace = target.repository.replace('/app', '')
    const mountFrom = ['none', 'base'].map((name) => `${namespace}/${name}`)
    expect(await client.pushBlob(target, source, { mountFrom })).toBe('mounted')
    expect(await client.readBlob(target, source.descriptor)).toHaveLength(1000)
    const other = parseReference(`${team}/other`)
    expect(await client.pushBlob(other, source, { mountFrom: mountFrom.slice(0, 1) })).toBe(
      'uploaded',
    )
  })

  it('stores a manifest under its tags, so that skopeo reads the same bytes', async (context) => {
    const skopeo = requiresProgram(context, 'skopeo')
    const { client, team } = await start(context)
    const image = makeImage({ layers: [makeLayer({ file: 'content' })] })
    const reference = parseReference(`${team}/app:1.2.3`)
    await pushImage(client, `${team}/app:1.2.3`, image)
    const { mediaType, digest } = image.manifest.descriptor
    const stored = await client.putManifest(
      reference,
      { mediaType, bytes: image.manifest.bytes },
      { tags: ['1.2', '1'] },
    )
    expect(stored).toEqual({
      descriptor: image.manifest.descriptor,
      tags: ['1.2.3', '1.2', '1'],
    })
    expect((await listOf(client.tags(reference))).sort()).toEqual(['1', '1.2', '1.2.3'])
    for (const tag of ['1.2.3', '1.2', '1', `@${digest}`]) {
      const name = `${team}/app${tag.startsWith('@') ? tag : `:${tag}`}`
      const copy = await mkdtemp(join(directory, 'copy-'))
      await run(skopeo, ['copy', '-q', '--src-tls-verify=false', `docker://${name}`, `dir:${copy}`])
      expect(await readFile(join(copy, 'manifest.json'))).toEqual(image.manifest.bytes)
      for (const layer of image.layers) {
        expect(await readFile(join(copy, layer.digest.replace('sha256:', '')))).toEqual(layer.blob)
      }
    }
  })

  it('takes genuine images from a layout, so that skopeo reads the same bytes', async (context) => {
    const skopeo = requiresProgram(context, 'skopeo')
    requires(context, 'images', existsSync(images), `there are no genuine images in ${images}`)
    const { client, team } = await start(context)
    const store = layoutStore(openImageLayout(join(images, 'alpine')))
    const { descriptor } = await push({ store, name: '3.20' }, `${team}/alpine:3.20`, { client })
    const copy = await mkdtemp(join(directory, 'copy-'))
    const from = `docker://${team}/alpine:3.20`
    await run(skopeo, ['copy', '-q', '--all', '--src-tls-verify=false', from, `oci:${copy}:3.20`])
    const index = JSON.parse(await readFile(join(copy, 'index.json'), 'utf8'))
    expect(index.manifests[0].digest).toBe(descriptor.digest)
    const blobs = await readdir(join(copy, 'blobs', 'sha256'))
    expect(blobs.length).toBeGreaterThan(6)
    for (const name of blobs) {
      const path = join('blobs', 'sha256', name)
      const [read, original] = await Promise.all(
        [copy, join(images, 'alpine')].map((root) => readFile(join(root, path))),
      )
      expect(read?.equals(original ?? Buffer.of())).toBe(true)
    }
  })

  it('keeps a list of referrers under a tag, and takes a manifest off it', async (context) => {
    const { client, team } = await start(context, { deletion: true })
    const name = `${team}/app:1`
    const image = makeImage({ layers: [makeLayer({ file: 'content' })] })
    const subject = image.manifest.descriptor
    await pushImage(client, name, image)
    const reference = parseReference(name)
    const attached = ['sbom', 'signature', 'sbom'].map((type, i) =>
      artifact(subject, `application/vnd.test.${type}`, String(i)),
    )
    await client.pushBlob(reference, bytesSource(Buffer.from('{}')))
    const results = await Promise.all(
      attached.map(({ descriptor: { mediaType, digest }, bytes }) =>
        client.putManifest(parseReference(`${team}/app@${digest}`), { mediaType, bytes }),
      ),
    )
    expect(results.map(({ subject: listed }) => listed)).toEqual(attached.map(() => subject.digest))
    const listed = await listOf(client.referrers(reference))
    expect(listed.map(({ digest }) => digest).sort()).toEqual(
      attached.map(({ descriptor: { digest } }) => digest).sort(),
    )
    expect(listed[0]).toMatchObject({
      artifactType: expect.any(String),
      annotations: { i: expect.any(String) },
    })
    const artifactType = 'application/vnd.test.sbom'
    expect(await listOf(client.referrers(reference, { artifactType }))).toHaveLength(2)
    const [first] = attached
    const gone = parseReference(`${team}/app@${first?.descriptor.digest}`)
    await client.deleteManifest(gone)
    expect(await listOf(client.referrers(reference, { artifactType }))).toHaveLength(1)
    await expect(client.manifest(gone)).rejects.toMatchObject({ code: 'ERR_REGISTRY_NOT_FOUND' })
  })

  it('deletes a tag and not what it stands for', async (context) => {
    const { client, team } = await start(context, { deletion: true })
    const image = makeImage({ layers: [makeLayer({ file: 'content' })] })
    await pushImage(client, `${team}/app:1`, image)
    await pushImage(client, `${team}/app:2`, image)
    await client.deleteTag(parseReference(`${team}/app:1`))
    expect(await listOf(client.tags(`${team}/app`))).toEqual(['2'])
    await client.deleteTag(parseReference(`${team}/app:2`))
    expect(await listOf(client.tags(`${team}/app`))).toEqual([])
    const { digest } = image.manifest.descriptor
    const exact = parseReference(`${team}/app@${digest}`)
    expect((await client.manifest(exact)).bytes).toEqual(image.manifest.bytes)
    await expect(client.deleteTag(parseReference(`${team}/app:1`))).rejects.toMatchObject({
      code: 'ERR_REGISTRY_NOT_FOUND',
    })
    await client.deleteBlob(exact, image.config.descriptor.digest)
    expect(await client.hasBlob(exact, image.config.descriptor)).toBe(false)
  })

  it('says so where nothing can be deleted, and leaves everything as it was', async (context) => {
    const { client, team } = await start(context)
    const image = makeImage({ layers: [makeLayer({ file: 'content' })] })
    const name = `${team}/app:1`
    await pushImage(client, name, image)
    const reference = parseReference(name)
    const { digest } = image.manifest.descriptor
    const exact = parseReference(`${team}/app@${digest}`)
    const config = image.config.descriptor.digest
    for (const deletion of [
      () => client.deleteTag(reference),
      () => client.deleteManifest(exact),
      () => client.deleteBlob(exact, config),
    ]) {
      await expect(deletion()).rejects.toMatchObject({
        code: 'ERR_REGISTRY_UNSUPPORTED',
        hint: expect.any(String),
      })
    }
    expect((await client.manifest(reference)).descriptor.digest).toBe(digest)
  })

  it('lists what there is, in pages of any size', async (context) => {
    const { client, host, team } = await start(context)
    const image = makeImage({ layers: [] })
    const tags = ['a', 'b', 'c', 'd', 'e']
    const paths = ['app', 'base', 'other/app']
    for (const path of paths) await pushImage(client, `${team}/${path}:a`, image, tags)
    for (const pageSize of [1, 2, 5, 100]) {
      expect((await listOf(client.tags(`${team}/app`, { pageSize }))).sort()).toEqual(tags)
      const names = (await listOf(client.catalog(host, { pageSize }))).map(
        (name) => `${host}/${name}`,
      )
      expect(names.filter((name) => name.startsWith(`${team}/`)).sort()).toEqual(
        paths.map((path) => `${team}/${path}`),
      )
    }
    await expect(listOf(client.tags(`${team}/none`))).rejects.toMatchObject({
      code: 'ERR_REGISTRY_NOT_FOUND',
    })
  })
})

/** One registry for all tests, or one that also deletes; each test has repositories of its own in it. */
async function start(context: TestContext, { deletion = false } = {}) {
  requiresProgram(context, 'docker-registry')
  const home = join(directory, deletion ? 'deleting' : 'registry')
  const starting = servers.get(deletion) ?? startDockerRegistry({ directory: home, deletion })
  servers.set(deletion, starting)
  const { host } = await starting
  const client = createRegistryClient()
  clients.push(client)
  repositories += 1
  return { client, host, team: `${host}/team-${repositories}` }
}

async function pushImage(
  client: RegistryClient,
  name: string,
  { config, layers, manifest }: ReturnType<typeof makeImage>,
  tags: string[] = [],
): Promise<void> {
  const reference = parseReference(name)
  for (const bytes of [config.bytes, ...layers.map(({ blob }) => blob)]) {
    await client.pushBlob(reference, bytesSource(bytes))
  }
  const { mediaType } = manifest.descriptor
  await client.putManifest(reference, { mediaType, bytes: manifest.bytes }, { tags })
}

function artifact(subject: object, artifactType: string, i: string) {
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  const empty = {
    mediaType: 'application/vnd.oci.empty.v1+json',
    digest: digestOf(Buffer.from('{}')),
    size: 2,
  }
  const document = {
    schemaVersion: 2,
    mediaType,
    artifactType,
    config: empty,
    layers: [empty],
    subject,
    annotations: { i },
  }
  const bytes = Buffer.from(JSON.stringify(document))
  return { bytes, descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length } }
}

async function listOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}
