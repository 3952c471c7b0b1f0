import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Writable } from 'node:stream'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { requires, requiresProgram } from '@cromwell/test-support'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { bytesSource } from '../client/blob-source.ts'
import { copy } from '../copy/copy.ts'
import { digestOf } from '../image/digest.ts'
import { canonicalName } from '../image/reference.ts'
import { openImageLayout } from '../layout/image-layout.ts'
import {
  collect,
  imageOf,
  partsOf,
  putAll,
  referrerTo,
  topOf,
} from '../store/content.test.fixture.ts'
import { layoutStore } from '../store/layout-store.ts'
import { memoryStore } from '../store/memory-store.ts'
import { makeImage, makeIndex, makeLayer, type TarEntry, writeTar } from '../testing/index.ts'
import { type ImageArchive, openImageArchive } from './image-archive.ts'
import { createImageArchive } from './image-archive-writer.ts'

const run = promisify(execFile)
const amd64 = { os: 'linux', architecture: 'amd64' }
let directory: string
let file: string
const opened: ImageArchive[] = []

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cromwell-archive-'))
  file = join(directory, 'images.tar')
})

afterEach(async () => {
  for (const archive of opened.splice(0)) await archive.close()
  await rm(directory, { recursive: true, force: true })
})

async function open(path = file): Promise<ImageArchive> {
  const archive = await openImageArchive(path)
  opened.push(archive)
  return archive
}

function listenersOf(stream: Writable): number {
  return stream.eventNames().reduce((sum, name) => sum + stream.listenerCount(name), 0)
}

/** Everything that a name leads to, through a store that verifies it. */
async function readBack(
  archive: ImageArchive,
  name: string,
): Promise<ReturnType<typeof memoryStore>> {
  const memory = memoryStore()
  await copy({ store: archive, name }, { store: memory, name })
  return memory
}

describe('an image archive that is written', () => {
  it('is read back with every digest, names, platforms and what is about them', async () => {
    const index = makeIndex([imageOf('a'), imageOf('b', 'arm64')])
    const single = imageOf('c')
    const sbom = referrerTo(single.manifest.descriptor, 'sbom')
    const writer = createImageArchive(file, { platform: amd64 })
    await putAll(writer, index, 'multi:1')
    await putAll(writer, single, 'localhost:5000/team/single:2')
    await putAll(writer, single, 'single')
    await putAll(writer, sbom)
    await writer.finish()
    expect(await readdir(directory)).toEqual(['images.tar'])

    const archive = await open()
    expect(archive.images).toMatchObject([
      {
        descriptor: index.index.descriptor,
        names: ['multi:1'],
        configDigest: index.images[0]?.config.descriptor.digest,
      },
      {
        descriptor: single.manifest.descriptor,
        names: ['localhost:5000/team/single:2', 'single'],
        configDigest: single.config.descriptor.digest,
      },
    ])
    expect(await collect(archive.names())).toEqual([
      'multi:1',
      'localhost:5000/team/single:2',
      'single',
    ])
    const memory = await readBack(archive, 'multi:1')
    for (const { descriptor, bytes } of partsOf(index)) {
      expect(await memory.read(descriptor)).toEqual(bytes)
      expect(await archive.has(descriptor)).toBe(true)
    }
    expect(await archive.resolve('docker.io/library/single:latest')).toEqual(topOf(single))
    expect(await archive.resolve(single.config.descriptor.digest)).toEqual(topOf(single))
    expect(await archive.resolve(topOf(single).digest)).toEqual(topOf(single))
    expect(await archive.resolve('other')).toBeUndefined()
    expect(await collect(archive.referrers(topOf(single)))).toMatchObject([
      sbom.manifest.descriptor,
    ])
    const wrong = { ...topOf(single), size: 1 }
    expect(await archive.has(wrong)).toBe(false)
    expect(await archive.read(wrong)).toBeUndefined()
  })

  it('has the same bytes when the same is written, to a file and to a stream', async () => {
    const content = makeIndex([imageOf('a'), imageOf('b', 'arm64')])
    const chunks: Buffer[] = []
    const stream = new PassThrough().on('data', (chunk) => chunks.push(chunk))
    for (const output of [file, join(directory, 'again.tar'), stream]) {
      const store = memoryStore()
      await putAll(store, content, 'a:1')
      await using writer = createImageArchive(output, { platform: amd64 })
      await copy({ store, name: 'a:1' }, { store: writer, name: 'a:1' }, { concurrency: 8 })
      await writer.finish()
    }
    const bytes = await readFile(file)
    expect(bytes.equals(await readFile(join(directory, 'again.tar')))).toBe(true)
    expect(bytes.equals(Buffer.concat(chunks))).toBe(true)
  })

  it('leaves nothing behind when it is given up, or when a blob is not what it should be', async () => {
    const image = imageOf('a')
    const given = createImageArchive(file)
    await putAll(given, image, 'a:1')
    await given.close()
    await given.close()
    await expect(given.finish()).rejects.toMatchObject({ code: 'ERR_REGISTRY_ARCHIVE' })
    expect(await readdir(directory)).toEqual([])

    const [layer] = partsOf(image)
    const broken = createImageArchive(file)
    const { open: other } = bytesSource(Buffer.from('other'))
    const source = { descriptor: layer?.descriptor ?? topOf(image), open: other }
    await expect(broken.put(source)).rejects.toMatchObject({ code: 'ERR_REGISTRY_SIZE_MISMATCH' })
    await expect(putAll(broken, image)).rejects.toMatchObject({ code: 'ERR_REGISTRY_ARCHIVE' })
    await expect(broken.finish()).rejects.toMatchObject({ code: 'ERR_REGISTRY_ARCHIVE' })
    await broken.close()
    expect(await readdir(directory)).toEqual([])
  })

  it('does not touch a file of its name before it is finished', async () => {
    await writeFile(file, 'before')
    const writer = createImageArchive(file)
    await putAll(writer, imageOf('a'), 'a:1')
    expect(await readFile(file, 'utf8')).toBe('before')
    await writer.finish()
    expect((await open()).images).toHaveLength(1)
  })

  it('says what is wrong with where it goes', async () => {
    const nowhere = createImageArchive(join(directory, 'none', 'images.tar'))
    await expect(putAll(nowhere, imageOf('a'))).rejects.toMatchObject({
      code: 'ERR_REGISTRY_ARCHIVE',
      message: expect.stringContaining('ENOENT'),
    })
    const full = new Writable({
      write: (_chunk, _encoding, done) => done(new Error('no space left')),
    })
    await expect(
      (async () => {
        const writer = createImageArchive(full)
        await putAll(writer, imageOf('a'), 'a:1')
        await writer.finish()
      })(),
    ).rejects.toMatchObject({ code: 'ERR_REGISTRY_ARCHIVE' })
  })

  it('does not replace what is no file', async () => {
    const fifo = join(directory, 'fifo')
    await run('mkfifo', [fifo])
    for (const path of [fifo, directory]) {
      await expect(putAll(createImageArchive(path), imageOf('a'))).rejects.toMatchObject({
        code: 'ERR_REGISTRY_ARCHIVE',
        message: expect.stringContaining('not a file'),
      })
    }
    expect((await stat(fifo)).isFIFO()).toBe(true)
    expect(await readdir(directory)).toEqual(['fifo'])
  })

  it('leaves no listener at a stream that is read slowly', async () => {
    const slow = new Writable({
      highWaterMark: 1,
      write: (_chunk, _encoding, done) => setImmediate(done),
    })
    const writer = createImageArchive(slow)
    const before = listenersOf(slow)
    await putAll(writer, imageOf('a'), 'a:1')
    expect(listenersOf(slow)).toBe(before)
    await writer.finish()
  })

  it('waits neither for a stream that nobody reads once it is aborted, nor for one that is closed', async () => {
    const stuck = new Writable({ highWaterMark: 1, write: () => {} })
    const controller = new AbortController()
    const put = createImageArchive(stuck).put(bytesSource(Buffer.alloc(100)), {
      signal: controller.signal,
    })
    controller.abort()
    await expect(put).rejects.toMatchObject({ code: 'ERR_REGISTRY_ABORTED' })
    stuck.destroy()
    await expect(putAll(createImageArchive(stuck), imageOf('a'))).rejects.toMatchObject({
      code: 'ERR_REGISTRY_ARCHIVE',
    })
  })

  it('names a digest of sha512, which no old header holds', async () => {
    const bytes = Buffer.from('long')
    const descriptor = { mediaType: 'text/plain', digest: digestOf(bytes, 'sha512'), size: 4 }
    const writer = createImageArchive(file)
    await writer.put({ ...bytesSource(bytes), descriptor })
    await putAll(writer, imageOf('a'), 'a:1')
    await writer.finish()
    expect(Buffer.concat(await collect((await open()).open(descriptor))).toString()).toBe('long')
    const { stdout } = await run('tar', ['-tf', file])
    expect(stdout).toContain(descriptor.digest.replace(':', '/'))
  })

  it('is taken by skopeo as docker-archive and as oci-archive', async (context) => {
    const skopeo = requiresProgram(context, 'skopeo')
    const [first, second] = [imageOf('a'), imageOf('b')]
    const writer = createImageArchive(file)
    await putAll(writer, first, 'first:1')
    await putAll(writer, second, 'localhost:5000/second:2')
    await writer.finish()
    for (const [name, image] of [
      ['first:1', first],
      ['localhost:5000/second:2', second],
    ] as const) {
      const { stdout } = await run(skopeo, ['inspect', `docker-archive:${file}:${name}`])
      expect(JSON.parse(stdout)).toMatchObject({ Architecture: 'amd64' })
      const layout = join(directory, `layout-${image.config.descriptor.digest.slice(7, 15)}`)
      await run(skopeo, ['copy', '-q', `docker-archive:${file}:${name}`, `oci:${layout}:${name}`])
      const found = await openImageLayout(layout).find({ ...REFERENCES[name] }, amd64)
      expect(found?.configDigest).toBe(image.config.descriptor.digest)
      expect(found?.layers[0]?.diffId).toBe(image.layers[0]?.diffId)
      const complete = canonicalName(REFERENCES[name])
      const oci = await run(skopeo, ['inspect', `oci-archive:${file}:${complete}`])
      expect(JSON.parse(oci.stdout).Digest).toBe(topOf(image).digest)
    }
  })
})

describe('an image archive and podman', () => {
  it('is loaded under its own names, and what podman saves is read', {
    timeout: 120_000,
  }, async (context) => {
    const podman = requiresProgram(context, 'podman')
    const why = 'podman keeps its images in a directory of its own'
    requires(context, 'root', process.getuid?.() === 0, why)
    const storage = ['--root', join(directory, 'root'), '--runroot', join(directory, 'run')]
    const call = (...words: string[]) =>
      run(podman, [...storage, '--storage-driver', 'vfs', '--events-backend', 'none', ...words])
    const image = imageOf('a')
    const writer = createImageArchive(file)
    await putAll(writer, image, 'first:1')
    await putAll(writer, image, 'localhost:5000/second:2')
    await writer.finish()
    await call('load', '-q', '-i', file)
    const id = image.config.descriptor.digest.slice('sha256:'.length)
    for (const name of ['docker.io/library/first:1', 'localhost:5000/second:2']) {
      const { stdout } = await call('image', 'inspect', '--format', '{{.Id}}', name)
      expect(stdout.trim()).toBe(id)
    }
    for (const format of ['docker-archive', 'oci-archive']) {
      const saved = join(directory, `${format}.tar`)
      await call('save', '-q', '--format', format, '-o', saved, 'docker.io/library/first:1')
      const archive = await open(saved)
      expect(await collect(archive.names())).toEqual(['first:1'])
      const memory = await readBack(archive, 'first:1')
      expect(await memory.has(image.config.descriptor)).toBe(true)
    }
  })
})

const REFERENCES = {
  'first:1': { registry: 'docker.io', repository: 'library/first', tag: '1' },
  'localhost:5000/second:2': { registry: 'localhost:5000', repository: 'second', tag: '2' },
}

describe('an image archive of another program', () => {
  it.each(['plain', 'gzip'])('is read as docker before 25 wrote it, %s', async (compression) => {
    const { entries, image, name } = oldArchive()
    const tar = writeTar(entries)
    await writeFile(file, compression === 'gzip' ? gzipSync(tar) : tar)
    const archive = await open()
    expect(archive.images).toMatchObject([
      { names: [name], configDigest: image.config.descriptor.digest },
    ])
    const memory = await readBack(archive, name)
    const descriptor = await memory.resolve(name)
    const manifest = JSON.parse(
      Buffer.from((descriptor && (await memory.read(descriptor))) ?? '').toString(),
    )
    expect(manifest.layers.map(({ digest }: { digest: string }) => digest)).toEqual(
      image.layers.map(({ diffId }) => diffId),
    )
    expect(manifest.config).toEqual(image.config.descriptor)
    expect((await (await open()).resolve(name))?.digest).toBe(descriptor?.digest)
  })

  it('may hold compressed layers, which must unpack to what its configuration says', async () => {
    const { entries, image, name } = oldArchive('gzip')
    await writeFile(file, writeTar(entries))
    const memory = await readBack(await open(), name)
    for (const { digest, size, mediaType } of image.layers) {
      expect(await memory.has({ digest, size, mediaType })).toBe(true)
    }
    const [layer] = entries.filter(({ path }) => path === 'one/layer.tar')
    if (layer !== undefined) layer.content = makeLayer({ other: 'x' }).blob
    await writeFile(file, writeTar(entries))
    await expect(open()).rejects.toMatchObject({
      code: 'ERR_REGISTRY_ARCHIVE',
      message: expect.stringContaining('unpacks to'),
    })
  })

  it('is believed in nothing that its bytes do not prove', async () => {
    const { entries, name } = oldArchive()
    const [layer] = entries.filter(({ path }) => path === 'one/layer.tar')
    if (layer !== undefined) layer.content = Buffer.alloc(layer.content?.length ?? 0, 'x')
    await writeFile(file, writeTar(entries))
    await expect(readBack(await open(), name)).rejects.toMatchObject({
      code: 'ERR_REGISTRY_DIGEST_MISMATCH',
    })
  })

  it('is read as skopeo writes it, docker-archive with two names and oci-archive', async (context) => {
    const skopeo = requiresProgram(context, 'skopeo')
    const layout = openImageLayout(join(directory, 'layout'))
    const image = imageOf('a')
    await putAll(layoutStore(layout), image, 'a:1')
    const from = `oci:${layout.directory}:a:1`
    const names = ['--additional-tag', 'docker.io/library/b:2']
    await run(skopeo, ['copy', '-q', ...names, from, `docker-archive:${file}:a:1`])
    const archive = await open()
    expect(archive.images[0]?.names.toSorted()).toEqual(['a:1', 'b:2'])
    const memory = await readBack(archive, 'b:2')
    const config = image.config.descriptor
    expect(archive.images[0]?.configDigest).toBe(config.digest)
    expect(await memory.has(config)).toBe(true)

    const oci = join(directory, 'oci.tar')
    await run(skopeo, ['copy', '-q', from, `oci-archive:${oci}:a:1`])
    const second = await open(oci)
    expect(second.images).toMatchObject([{ descriptor: topOf(image), names: ['a:1'] }])
    expect(await (await readBack(second, 'a:1')).has(topOf(image))).toBe(true)
  })

  it('is read by docker 25 names, where the tag stands alone in index.json', async () => {
    const image = imageOf('a')
    const writer = createImageArchive(file)
    await putAll(writer, image, 'a:1')
    await writer.finish()
    const bytes = await readFile(file)
    const text = bytes.toString('latin1')
    const docker = text.replace('.ref.name":"docker.io/library/a:1"', '.ref.name":"1"'.padEnd(34))
    expect(docker).toHaveLength(text.length)
    expect(docker).not.toBe(text)
    await writeFile(file, Buffer.from(docker, 'latin1'))
    expect((await open()).images).toMatchObject([{ descriptor: topOf(image), names: ['a:1'] }])
  })
})

/** As `docker save` wrote it: layers in directories of their own, one of them a link to another. */
function oldArchive(compression: 'none' | 'gzip' = 'none') {
  const [one, two] = [makeLayer({ file: 'one' }), makeLayer({ file: 'two' })]
  const image = makeImage({ layers: [one, two, one], platform: amd64, config: { Cmd: ['x'] } })
  const name = 'old/image:1'
  const id = image.config.descriptor.digest.slice('sha256:'.length)
  const layers = ['one/layer.tar', 'two/layer.tar', 'three/layer.tar']
  const manifest = [{ Config: `${id}.json`, RepoTags: [name], Layers: layers }]
  const file = (path: string, content: Uint8Array | string): TarEntry => ({
    ...ATTRIBUTES,
    path,
    kind: 'file',
    content: Buffer.from(content),
  })
  const content = ({ tar, blob }: typeof one) => (compression === 'none' ? tar : blob)
  const entries: TarEntry[] = [
    { ...ATTRIBUTES, path: 'one/', kind: 'directory' },
    file('one/VERSION', '1.0'),
    file('one/layer.tar', content(one)),
    file('two/layer.tar', content(two)),
    { ...ATTRIBUTES, path: 'three/layer.tar', kind: 'symlink', target: '../one/layer.tar' },
    file(`${id}.json`, image.config.bytes),
    file('repositories', JSON.stringify({ 'old/image': { '1': 'three' } })),
    file('manifest.json', JSON.stringify(manifest)),
  ]
  return { entries, image, name }
}

const ATTRIBUTES = { mode: 0o644, uid: 0, gid: 0, mtime: 0 }
