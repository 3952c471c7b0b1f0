import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { requiresProgram } from '@cromwell/test-support'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { digestOf } from '../image/digest.ts'
import { hostPlatform } from '../image/platform.ts'
import { familiarName, parseReference } from '../image/reference.ts'
import { makeImage, makeIndex, makeLayer, type TestImage } from '../testing/index.ts'
import { type ImageLayout, openImageLayout } from './image-layout.ts'

const run = promisify(execFile)
let directory: string
let layout: ImageLayout

beforeEach(async () => {
  directory = join(await mkdtemp(join(tmpdir(), 'cromwell-layout-')), 'images')
  layout = openImageLayout(directory)
})

afterEach(async () => {
  await rm(join(directory, '..'), { recursive: true, force: true })
})

describe('openImageLayout', () => {
  it('finds nothing before the first write, and makes nothing by looking', async () => {
    expect(await layout.find(parseReference('alpine'))).toBeUndefined()
    expect(await layout.list()).toEqual([])
    expect(await layout.has({ digest: digestOf(Buffer.from('x')), size: 1 })).toBe(false)
    expect(await layout.untag(parseReference('alpine'))).toBe(false)
    await layout.sweep()
  })

  it('finds an image by name, and by digest of manifest and of index', async () => {
    const image = makeImage({ layers: [makeLayer({ a: 'a' })], config: { Cmd: ['x'] } })
    const resolvedDigest = makeIndex([image]).index.descriptor.digest
    await put('alpine:3', image, resolvedDigest)
    const found = await layout.find(parseReference('docker.io/library/alpine:3'))
    expect(found).toMatchObject({
      name: 'alpine:3',
      reference: parseReference('alpine:3'),
      configDigest: image.config.descriptor.digest,
      config: { config: { Cmd: ['x'] } },
      layers: [{ digest: image.layers[0]?.digest, diffId: image.layers[0]?.diffId }],
      resolvedDigest,
    })
    for (const digest of [image.manifest.descriptor.digest, resolvedDigest]) {
      expect(await layout.find(parseReference(`alpine@${digest}`))).toMatchObject({
        resolvedDigest,
      })
      expect(await layout.find(parseReference(`alpine:other@${digest}`))).toBeDefined()
      expect(await layout.find(parseReference(`other@${digest}`))).toBeUndefined()
    }
    expect(await layout.find(parseReference('alpine'))).toBeUndefined()
    expect(await layout.find(parseReference('host.example/library/alpine:3'))).toBeUndefined()
  })

  it('finds only what runs on the platform asked for', async () => {
    const platform = { os: 'linux', architecture: 'arm', variant: 'v6' }
    await put('a', makeImage({ layers: [makeLayer({ a: 'a' })], platform }))
    const reference = parseReference('a')
    expect(await layout.find(reference)).toBeDefined()
    expect(await layout.find(reference, platform)).toBeDefined()
    expect(await layout.find(reference, { ...platform, variant: 'v7' })).toBeDefined()
    expect(await layout.find(reference, { ...platform, variant: 'v5' })).toBeUndefined()
    expect(await layout.find(reference, { os: 'linux', architecture: 'amd64' })).toBeUndefined()
  })

  it('lets a name move on and keeps the others', async () => {
    const [first, second] = [imageOf('1'), imageOf('2')]
    await put('a', first)
    await put('b', first)
    await put('a', second)
    expect((await layout.list()).map(({ name, manifest: { digest } }) => [name, digest])).toEqual([
      ['b', first.manifest.descriptor.digest],
      ['a', second.manifest.descriptor.digest],
    ])
    expect(await layout.untag(parseReference('a'))).toBe(true)
    expect((await layout.list()).map(({ name }) => name)).toEqual(['b'])
  })

  it('does not name what is not there', async () => {
    const { descriptor } = imageOf('1').manifest
    await expect(layout.tag(parseReference('a'), descriptor)).rejects.toMatchObject({
      code: 'ERR_REGISTRY_LAYOUT',
    })
  })

  it('takes damaged or missing documents for an image that is not there', async () => {
    const image = imageOf('1')
    for (const { descriptor } of [image.manifest, image.config]) {
      await put('a', image)
      await writeFile(layout.blobPath(descriptor.digest), 'x'.repeat(descriptor.size))
      expect(await layout.find(parseReference('a'))).toBeUndefined()
      await rm(layout.blobPath(descriptor.digest))
      expect(await layout.find(parseReference('a'))).toBeUndefined()
    }
  })

  it('says which file is damaged when index.json is', async () => {
    await put('a', imageOf('1'))
    const path = join(directory, 'index.json')
    for (const text of ['{', '[]', '{"manifests": {}}']) {
      await writeFile(path, text)
      await expect(layout.find(parseReference('a'))).rejects.toMatchObject({
        code: 'ERR_REGISTRY_LAYOUT',
        path,
        hint: expect.any(String),
      })
    }
  })

  it('keeps what others wrote into index.json, and passes over what it cannot read', async () => {
    await put('a', imageOf('1'))
    const path = join(directory, 'index.json')
    const index = JSON.parse(await readFile(path, 'utf8'))
    index.annotations = { theirs: 'kept' }
    index.manifests.push({ odd: true })
    await writeFile(path, JSON.stringify(index))
    await put('b', imageOf('2'))
    expect((await layout.list()).map(({ name }) => name)).toEqual(['a', 'b'])
    expect(JSON.parse(await readFile(path, 'utf8'))).toMatchObject({
      annotations: { theirs: 'kept' },
      manifests: [{}, { odd: true }, {}],
    })
  })

  it('chooses by platform in an index that another tool stored', async () => {
    const other = { os: 'linux', architecture: 's390x' }
    const images = [
      makeImage({ layers: [makeLayer({ a: 'a' })], platform: other }),
      imageOf('here'),
    ]
    for (const image of images) await store(image)
    const { index } = makeIndex(images)
    await layout.write(index.descriptor, index.bytes)
    await layout.tag(parseReference('multi'), index.descriptor)
    const here = await layout.find(parseReference('multi'))
    expect(here?.configDigest).toBe(images[1]?.config.descriptor.digest)
    expect((await layout.find(parseReference('multi'), other))?.config.architecture).toBe('s390x')
    const none = { os: 'linux', architecture: 'mips' }
    expect(await layout.find(parseReference('multi'), none)).toBeUndefined()
  })

  it('verifies what it stores and what it reads', async () => {
    const bytes = Buffer.from('bytes')
    const expected = { digest: digestOf(bytes), size: bytes.length }
    await expect(layout.write(expected, Buffer.from('other'))).rejects.toMatchObject({
      code: 'ERR_REGISTRY_DIGEST_MISMATCH',
    })
    await layout.write(expected, bytes)
    expect(await layout.read(expected)).toEqual(bytes)
    expect(await layout.has(expected)).toBe(true)
    expect(await layout.has({ ...expected, size: 4 })).toBe(false)
    await writeFile(layout.blobPath(expected.digest), 'wrong')
    expect(await layout.read(expected)).toBeUndefined()
    expect(() => layout.blobPath('sha256:../../x')).toThrow('is not a digest')
  })

  it('stores sha512 blobs beside the others', async () => {
    const bytes = Buffer.from('bytes')
    const expected = { digest: digestOf(bytes, 'sha512'), size: bytes.length }
    await layout.write(expected, bytes)
    expect(layout.blobPath(expected.digest)).toContain('/blobs/sha512/')
    expect(await layout.read(expected)).toEqual(bytes)
  })

  it('is for its owner only, whatever the umask', async () => {
    const mask = process.umask(0)
    try {
      await put('a', imageOf('1'))
    } finally {
      process.umask(mask)
    }
    for (const name of await readdir(directory, { recursive: true })) {
      expect((await stat(join(directory, name))).mode & 0o077, name).toBe(0)
    }
    expect((await stat(directory)).mode & 0o777).toBe(0o700)
  })

  it('names what is in the way when it cannot write', async () => {
    await writeFile(directory, 'a file')
    await expect(put('a', imageOf('1'))).rejects.toMatchObject({
      code: 'ERR_REGISTRY_LAYOUT',
      message: expect.stringContaining(directory),
      hint: expect.any(String),
    })
  })

  it('sweeps what crashed writers left, and nothing that is young', async () => {
    await put('a', imageOf('1'))
    const names = [
      'index.json.abc.tmp',
      'index.json.lock.abc.claim',
      'partial/sha256-x',
      'partial/y.tmp',
    ]
    for (const name of names) await writeFile(join(directory, name), '')
    await layout.sweep()
    expect(await remaining(names)).toEqual(names)
    await age(names, 2 * 3_600_000)
    await layout.sweep()
    expect(await remaining(names)).toEqual(['partial/sha256-x'])
    await age(['partial/sha256-x'], 8 * 24 * 3_600_000)
    await layout.sweep()
    expect(await remaining(names)).toEqual([])
    expect(await layout.find(parseReference('a'))).toBeDefined()
  })

  it('loses no name when processes write at the same time, and readers never fail', async () => {
    const image = imageOf('1')
    await put('start', image)
    const built = new URL('../../dist/layout/image-layout.js', import.meta.url).href
    const parser = new URL('../../dist/image/reference.js', import.meta.url).href
    const script = `
      import { openImageLayout } from '${built}'
      import { parseReference } from '${parser}'
      const layout = openImageLayout(${JSON.stringify(directory)})
      for (let i = 0; i < 10; i++) {
        await layout.tag(parseReference('p' + process.argv[1] + ':' + i), ${JSON.stringify(image.manifest.descriptor)})
      }`
    const writers = ['1', '2', '3'].map((name) =>
      spawn(process.execPath, ['--input-type=module', '-e', script, '--', name], {
        stdio: 'inherit',
      }),
    )
    let running = true
    const finished = Promise.all(writers.map((writer) => once(writer, 'close'))).finally(() => {
      running = false
    })
    while (running) {
      expect(await layout.find(parseReference('start'))).toBeDefined()
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    await finished
    expect(await layout.list()).toHaveLength(31)
  })

  it('is read by skopeo under the familiar name', async (context) => {
    const skopeo = requiresProgram(context, 'skopeo')
    const image = makeImage({ layers: [makeLayer({ a: 'a' })], config: { Env: ['A=1'] } })
    for (const name of ['alpine', 'localhost:5000/a/b:t']) {
      await put(name, image)
      const { stdout } = await run(skopeo, ['inspect', `oci:${directory}:${name}`])
      expect(JSON.parse(stdout)).toMatchObject({ Env: ['A=1'], Layers: [image.layers[0]?.digest] })
    }
    const copy = join(directory, '..', 'copy')
    await run(skopeo, ['copy', '-q', `oci:${directory}:alpine`, `dir:${copy}`])
    expect(JSON.parse(await readFile(join(copy, 'manifest.json'), 'utf8'))).toMatchObject({
      config: image.config.descriptor,
    })
  })
})

function imageOf(content: string): TestImage {
  return makeImage({ layers: [makeLayer({ file: content })], platform: hostPlatform() })
}

async function store(image: TestImage): Promise<void> {
  for (const { descriptor, bytes } of [image.config, image.manifest]) {
    await layout.write(descriptor, bytes)
  }
  for (const layer of image.layers) await layout.write(layer, layer.blob)
}

async function put(name: string, image: TestImage, resolvedDigest?: string): Promise<void> {
  await store(image)
  const reference = parseReference(name)
  expect(familiarName(reference)).toBe(name)
  const options = resolvedDigest === undefined ? {} : { resolvedDigest }
  await layout.tag(reference, image.manifest.descriptor, options)
}

async function age(names: string[], ms: number): Promise<void> {
  const past = new Date(Date.now() - ms)
  for (const name of names) await utimes(join(directory, name), past, past)
}

async function remaining(names: string[]): Promise<string[]> {
  const there = await readdir(directory, { recursive: true })
  return names.filter((name) => there.includes(name))
}
