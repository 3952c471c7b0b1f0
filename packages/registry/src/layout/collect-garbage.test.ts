import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseReference } from '../image/reference.ts'
import { imageOf, partsOf, putAll, referrerTo } from '../store/content.test.fixture.ts'
import type { ContentStore } from '../store/content-store.ts'
import { layoutStore } from '../store/layout-store.ts'
import { makeIndex } from '../testing/index.ts'
import { type ImageLayout, openImageLayout } from './image-layout.ts'
import { acquireLock } from './lock.ts'

let directory: string
let layout: ImageLayout
let store: ContentStore
const children: ChildProcess[] = []

beforeEach(async () => {
  directory = join(await mkdtemp(join(tmpdir(), 'cromwell-gc-')), 'images')
  layout = openImageLayout(directory)
  store = layoutStore(layout)
})

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGKILL')
    await once(child, 'close')
  }
  await rm(join(directory, '..'), { recursive: true, force: true })
})

describe('gc', () => {
  it('makes nothing where there is nothing', async () => {
    const report = { removed: [], removedBytes: 0, kept: 0, young: 0 }
    expect(await layout.gc()).toEqual(report)
    expect(existsSync(directory)).toBe(false)
  })

  it('keeps what names lead to through indexes, manifests and subjects, and removes the rest', async () => {
    const index = makeIndex([imageOf('a'), imageOf('b', 'arm64')])
    const garbage = imageOf('garbage')
    const [sbom, signature] = [
      referrerTo(index.index.descriptor, 'sbom'),
      referrerTo(topOf(index), 's'),
    ]
    await putAll(store, index, 'kept:1')
    await putAll(store, sbom)
    await putAll(store, referrerTo(sbom.manifest.descriptor, 'about the sbom'))
    await putAll(store, signature)
    await putAll(store, garbage)
    const before = await blobs()
    const rehearsed = await layout.gc({ graceMs: 0, dryRun: true })
    expect(await blobs()).toEqual(before)
    const report = await layout.gc({ graceMs: 0 })
    expect(report).toEqual(rehearsed)
    const gone = partsOf(garbage).map(({ descriptor: { digest, size } }) => ({ digest, size }))
    expect(report.removed).toHaveLength(gone.length)
    expect(report.removed).toEqual(expect.arrayContaining(gone))
    expect(report.removedBytes).toBe(gone.reduce((total, { size }) => total + size, 0))
    expect(await blobs()).toHaveLength(before.length - gone.length)
    expect(report.kept).toBe(before.length - gone.length)
    expect((await layout.verify()).problems).toEqual([])
    expect((await layout.gc({ graceMs: 0 })).removed).toEqual([])
  })

  it('lets what is about a manifest go with it, and about that in turn', async () => {
    const image = imageOf('a')
    const sbom = referrerTo(image.manifest.descriptor, 'sbom')
    await putAll(store, image, 'a:1')
    await putAll(store, sbom)
    await putAll(store, referrerTo(sbom.manifest.descriptor, 'about the sbom'))
    await layout.untag(parseReference('a:1'))
    await layout.gc({ graceMs: 0 })
    expect(await blobs()).toEqual([])
    expect(JSON.parse(await readFile(join(directory, 'index.json'), 'utf8')).manifests).toEqual([])
  })

  it('keeps entries without a name that other tools have written', async () => {
    const image = imageOf('a')
    await putAll(store, image, 'a:1')
    const path = join(directory, 'index.json')
    const index = JSON.parse(await readFile(path, 'utf8'))
    index.manifests = [image.manifest.descriptor, { digest: 'no digest' }, 7]
    await writeFile(path, JSON.stringify(index))
    await putAll(store, imageOf('garbage'))
    await layout.gc({ graceMs: 0 })
    expect(await blobs()).toHaveLength(partsOf(image).length)
    expect(JSON.parse(await readFile(path, 'utf8')).manifests).toHaveLength(3)
  })

  it('keeps what is young and what that leads to, for writers that take no lease', async () => {
    await putAll(store, imageOf('a'))
    const [layer, config, manifest] = partsOf(imageOf('a')).map(({ descriptor }) => descriptor)
    const growOld = async (digest = '') => {
      const past = new Date(Date.now() - 2 * 3_600_000)
      await utimes(layout.blobPath(digest), past, past)
    }
    await growOld(layer?.digest)
    expect(await layout.gc()).toMatchObject({ removed: [], young: 3 })
    await growOld(manifest?.digest)
    const { removed, young } = await layout.gc()
    expect(removed.map(({ digest }) => digest).sort()).toEqual(
      [layer?.digest, manifest?.digest].sort(),
    )
    expect(young).toBe(1)
    await growOld(config?.digest)
    expect((await layout.gc()).removed).toMatchObject([{ digest: config?.digest }])
  })

  it('keeps what is leased, and all that it leads to, until it is released', async () => {
    const image = imageOf('a')
    await putAll(store, image)
    const lease = await layout.lease()
    await lease.protect([image.manifest.descriptor])
    expect((await layout.gc({ graceMs: 0 })).removed).toEqual([])
    await lease.release()
    await lease.release()
    expect((await layout.gc({ graceMs: 0 })).removed).toHaveLength(3)
    expect(await readdir(join(directory, 'leases'))).toEqual([])
  })

  it('is waited for by a writer whose lease it may not have seen', async () => {
    await putAll(store, imageOf('a'), 'a:1')
    const collection = await acquireLock(join(directory, 'index.json.lock'))
    const lease = await layout.lease()
    const { descriptor } = imageOf('a').manifest
    let isProtected = false
    const protecting = lease.protect([descriptor]).then(() => {
      isProtected = true
    })
    const isWaiting = async () =>
      (await readdir(directory)).some((name) => /^index\.json\.lock\..*claim$/.test(name))
    while (!isProtected && !(await isWaiting())) await new Promise(setImmediate)
    expect(isProtected).toBe(false)
    const [file = ''] = (await readdir(join(directory, 'leases'))).filter(
      (name) => !/\./.test(name),
    )
    expect(await readFile(join(directory, 'leases', file), 'utf8')).toContain(descriptor.digest)
    await collection.release()
    await protecting
    await lease.release()
  })

  it('does not honour the lease of a process that was killed', async () => {
    const image = imageOf('a')
    await putAll(store, image)
    const child = start(`
      const lease = await layout.lease()
      await lease.protect(${JSON.stringify([image.manifest.descriptor])})
      console.log('leased')
      setInterval(() => {}, 1000)`)
    await once(child.stdout ?? child, 'data')
    expect((await layout.gc({ graceMs: 0 })).removed).toEqual([])
    child.kill('SIGKILL')
    await once(child, 'close')
    expect((await layout.gc({ graceMs: 0 })).removed).toHaveLength(3)
    expect(await readdir(join(directory, 'leases'))).toEqual([])
  })

  it('is stopped by its signal', async () => {
    await putAll(store, imageOf('a'))
    await expect(layout.gc({ graceMs: 0, signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ERR_REGISTRY_ABORTED',
    })
  })

  it('takes no blob from processes that put images while it runs in others', async () => {
    const images = ['a', 'b', 'c'].map((content) => imageOf(content))
    const blobsOf = images.map((image) =>
      partsOf(image).map(({ descriptor, bytes }) => ({
        descriptor,
        base64: bytes.toString('base64'),
      })),
    )
    const writers = ['1', '2'].map((who) =>
      start(`
        const images = ${JSON.stringify(blobsOf)}
        for (let i = 0; i < 15; i++) {
          const parts = images[(i + ${who}) % images.length]
          const name = parseReference('w${who}:' + (i % 2))
          const lease = await layout.lease()
          await lease.protect(parts.map(({ descriptor }) => descriptor))
          for (const { descriptor, base64 } of parts) {
            if (!(await layout.has(descriptor))) await layout.write(descriptor, Buffer.from(base64, 'base64'))
          }
          await layout.tag(name, parts.at(-1).descriptor)
          await lease.release()
          const found = await layout.find(name, { os: 'linux', architecture: 'amd64' })
          if (found === undefined) throw new Error('lost the documents of round ' + i)
          for (const layer of found.layers) {
            if (!(await layout.has(layer))) throw new Error('lost a layer of round ' + i)
          }
          if (i % 3 === 0) await layout.remove(name)
          else await layout.untag(name)
        }
        console.log('whole')`),
    )
    const ended = writers.map(async (writer) => (await once(writer, 'close'))[0])
    let running = true
    const all = Promise.all(ended).finally(() => {
      running = false
    })
    const collector = start(`
      for (;;) await layout.gc({ graceMs: 0 })`)
    let collections = 0
    let removed = 0
    while (running) {
      removed += (await layout.gc({ graceMs: 0 })).removed.length
      collections++
    }
    expect(await all).toEqual([0, 0])
    collector.kill('SIGKILL')
    await once(collector, 'close')
    expect(collections).toBeGreaterThan(1)
    expect(removed).toBeGreaterThanOrEqual(0)
    expect((await layout.verify()).problems).toEqual([])
  }, 120_000)
})

describe('remove', () => {
  it('frees what only this name led to, and nothing that others or writers need', async () => {
    const [first, second] = [imageOf('a'), imageOf('b')]
    await putAll(store, first, 'a:1')
    await putAll(store, first, 'a:2')
    await putAll(store, second, 'b:1')
    await putAll(store, referrerTo(second.manifest.descriptor, 'sbom'))
    await putAll(store, imageOf('unnamed and young'))
    expect(await layout.remove(parseReference('none'))).toBeUndefined()
    expect(await layout.remove(parseReference('a:1'))).toEqual({ removed: [] })
    const lease = await layout.lease()
    const [layer] = partsOf(second)
    await lease.protect(layer === undefined ? [] : [layer.descriptor])
    const { removed } = (await layout.remove(parseReference('b:1'))) ?? {}
    expect(removed).toHaveLength(5)
    expect(await layout.has(layer?.descriptor ?? second.manifest.descriptor)).toBe(true)
    await lease.release()
    expect((await layout.list()).map(({ name }) => name)).toEqual(['a:2'])
    expect((await layout.remove(parseReference('a:2')))?.removed).toHaveLength(3)
    expect(await blobs()).toHaveLength(4)
  })
})

function topOf(index: ReturnType<typeof makeIndex>) {
  const [first] = index.images
  if (first === undefined) throw new Error('an index without images')
  return first.manifest.descriptor
}

async function blobs(): Promise<string[]> {
  return readdir(join(directory, 'blobs', 'sha256'))
}

/** A process with `layout` and `parseReference` of the built package. */
function start(script: string): ChildProcess {
  const built = (path: string) => new URL(`../../dist/${path}`, import.meta.url).href
  const prologue = `
    import { openImageLayout } from '${built('layout/image-layout.js')}'
    import { parseReference } from '${built('image/reference.js')}'
    const layout = openImageLayout(${JSON.stringify(directory)})`
  const child = spawn(process.execPath, ['--input-type=module', '-e', `${prologue}\n${script}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(child)
  return child
}
