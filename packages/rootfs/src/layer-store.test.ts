import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { expect, onTestFinished, test } from 'vitest'
import { applyLayerFile } from './apply-layer-file.ts'
import { chainIds } from './chain-id.ts'
import { type LayerEvent, type LayerSource, openLayerStore } from './layer-store.ts'
import { dir, file, type LiteralEntry, tar } from './literal-tar.test.fixture.ts'
import { createStaging } from './staging.ts'
import { isRoot, temporaryDirectory, whiteoutNativeFs } from './trees.test.fixture.ts'

const ownership = isRoot ? 'preserve' : 'squash'
const options = { mappingKey: 'identity', ownership, native: whiteoutNativeFs } as const

function sha256(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

/** Store a layer's blob as a registry client would have. */
function blob(directory: string, entries: LiteralEntry[]): LayerSource {
  const content = tar(entries)
  const compressed = gzipSync(content)
  const digest = sha256(compressed)
  const path = join(directory, digest.slice(7))
  writeFileSync(path, compressed)
  const mediaType = 'application/vnd.oci.image.layer.v1.tar+gzip'
  return { digest, diffId: sha256(content), mediaType, size: compressed.length, path }
}

function image(base: string): LayerSource[] {
  return [
    blob(base, [dir('etc/'), file('etc/a', '1')]),
    blob(base, [file('etc/.wh.a'), file('etc/b', '2')]),
  ]
}

test('layers are unpacked once, and their directories returned base first', async () => {
  const base = temporaryDirectory()
  const layers = image(base)
  const store = openLayerStore(join(base, 'layers'))
  expect(store.find(layers, 'identity')).toBeUndefined()
  const events: LayerEvent[] = []
  const onEvent = (event: LayerEvent) => void events.push(event)
  const lowerDirs = await store.ensure(layers, { ...options, onEvent })
  expect(lowerDirs.map((path) => readdirSync(join(path, 'etc')).sort())).toEqual([
    ['a'],
    ['a', 'b'],
  ])
  expect(await store.ensure(layers, { ...options, onEvent })).toEqual(lowerDirs)
  expect(store.find(layers, 'identity')).toEqual(lowerDirs)
  const types = events.map((event) => event.type).filter((type) => type !== 'layer-unpack-progress')
  expect(types).toEqual([
    'layer-unpacking',
    'layer-unpacked',
    'layer-unpacking',
    'layer-unpacked',
    'layer-present',
    'layer-present',
  ])
})

test('a layer is kept by its chainID and id mapping, privately, with a record of what it is', async () => {
  const base = temporaryDirectory()
  const layers = image(base)
  const store = openLayerStore(join(base, 'layers'))
  await store.ensure(layers, options)
  await store.ensure(layers.slice(0, 1), { ...options, mappingKey: 'single' })
  const [first, second] = chainIds(layers.map((layer) => layer.diffId)).map((id) => id.slice(7))
  const expected = [`${first}-identity`, `${first}-single`, `${second}-identity`]
  expect(readdirSync(store.directory).sort()).toEqual(expected.sort())
  expect(statSync(store.directory).mode & 0o777).toBe(0o700)
  const record: unknown = JSON.parse(
    readFileSync(join(store.directory, `${second}-identity`, 'layer.json'), 'utf8'),
  )
  expect(record).toMatchObject({
    schemaVersion: 1,
    digest: layers[1]?.digest,
    diffId: layers[1]?.diffId,
    entries: 2,
  })
})

test('the chainID of a stack is the one of the image-spec’s formula', () => {
  const [a, b] = ['a', 'b'].map((text) => sha256(Buffer.from(text)))
  expect(chainIds([a ?? '', b ?? ''])).toEqual([a, sha256(Buffer.from(`${a} ${b}`))])
})

test('a layer that fails leaves nothing behind, and the next attempt succeeds', async () => {
  const base = temporaryDirectory()
  const [layer] = image(base)
  if (layer === undefined) throw new Error('no layer')
  const store = openLayerStore(join(base, 'layers'))
  const other = { ...layer, diffId: `sha256:${'0'.repeat(64)}` }
  await expect(store.ensure([other], options)).rejects.toMatchObject({ code: 'ERR_ROOTFS_DIFFID' })
  const missing = { ...layer, path: join(base, 'missing') }
  await expect(store.ensure([missing], options)).rejects.toMatchObject({ code: 'ERR_ROOTFS_READ' })
  expect(readdirSync(store.directory)).toEqual([])
  await store.ensure([layer], options)
  expect(readdirSync(store.directory)).toHaveLength(1)
})

test('an abort leaves nothing behind', async () => {
  const base = temporaryDirectory()
  const store = openLayerStore(join(base, 'layers'))
  const controller = new AbortController()
  const onEvent = () => controller.abort(new Error('enough'))
  const work = store.ensure(image(base), { ...options, onEvent, signal: controller.signal })
  await expect(work).rejects.toThrow('enough')
  expect(readdirSync(store.directory)).toEqual([])
})

test('a diffID or mapping key that is no file name is refused', async () => {
  const base = temporaryDirectory()
  const [layer] = image(base)
  if (layer === undefined) throw new Error('no layer')
  const store = openLayerStore(join(base, 'layers'))
  const climbing = { ...layer, diffId: 'sha256:../../x' }
  await expect(store.ensure([climbing], options)).rejects.toMatchObject({
    code: 'ERR_ROOTFS_UNSUPPORTED',
  })
  await expect(store.ensure([layer], { ...options, mappingKey: '../x' })).rejects.toThrow(TypeError)
})

test('two callers at once unpack a layer once', async () => {
  const base = temporaryDirectory()
  const layers = image(base)
  let applied = 0
  const apply: typeof applyLayerFile = (job) => {
    applied++
    return applyLayerFile(job, options)
  }
  const ensure = () =>
    openLayerStore(join(base, 'layers')).ensure(layers, {
      ...options,
      apply: (job) => apply(job, options),
    })
  const results = await Promise.all([ensure(), ensure(), ensure()])
  expect(new Set(results.map(String)).size).toBe(1)
  expect(applied).toBe(2)
  expect(readdirSync(join(base, 'layers'))).toHaveLength(2)
})

// A process that starts to unpack, says so, and waits to be killed or told to go on.
const SLOW = `
import { applyLayerFile, openLayerStore } from '@cromwell/rootfs'
const { directory, layers, ownership } = JSON.parse(process.argv[1])
await openLayerStore(directory).ensure(layers, {
  mappingKey: 'identity',
  apply: async (job) => {
    const result = await applyLayerFile(job, { ownership })
    console.log('unpacking')
    await new Promise((resolve) => process.stdin.once('data', resolve))
    return result
  },
})
process.exit(0)
`

async function startSlowly(directory: string, layers: LayerSource[]): Promise<ChildProcess> {
  const plan = JSON.stringify({ directory, layers, ownership })
  const args = ['--input-type=module', '-e', SLOW, plan]
  const child = spawn(process.execPath, args, {
    cwd: import.meta.dirname,
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  if (child.stdout !== null) await once(child.stdout, 'data')
  return child
}

test('a layer that a live process is unpacking is neither swept nor unpacked again', async () => {
  const base = temporaryDirectory()
  const layers = image(base).slice(0, 1)
  const store = openLayerStore(join(base, 'layers'))
  const child = await startSlowly(store.directory, layers)
  await store.sweep()
  const events: string[] = []
  const work = store.ensure(layers, {
    ...options,
    onEvent: (event) => void events.push(event.type),
  })
  await sleep(100)
  child.stdin?.write('go on\n')
  const [lowerDir = ''] = await work
  expect(existsSync(join(lowerDir, 'etc/a'))).toBe(true)
  expect(events).toEqual(['layer-waiting'])
})

test('what a killed process left is swept, and its layer unpacked by whoever waited', async () => {
  const base = temporaryDirectory()
  const layers = image(base).slice(0, 1)
  const store = openLayerStore(join(base, 'layers'))
  const child = await startSlowly(store.directory, layers)
  const work = store.ensure(layers, options)
  await sleep(100)
  child.kill('SIGKILL')
  const [lowerDir = ''] = await work
  expect(existsSync(join(lowerDir, 'etc/a'))).toBe(true)
  expect(readdirSync(store.directory)).toHaveLength(1)
})

test('a staging directory of another boot or machine is left alone while it is young', async () => {
  const base = temporaryDirectory()
  const store = openLayerStore(base)
  const { name } = createStaging(base, 'target')
  const [, time = '', pid = '', start = ''] = name.split('-')
  const elsewhere = `.building-${time}-${pid}-${start}-${'0'.repeat(16)}1-00000000-target`
  const dead = name.replace(`-${start}-`, `-${Number(start) + 1}-`)
  for (const path of [elsewhere, dead]) mkdirSync(join(base, path))
  await store.sweep()
  expect(readdirSync(base).sort()).toEqual([name, elsewhere].sort())
})

test('a leftover that cannot be removed is reported, and stands in nobody’s way', async () => {
  const base = temporaryDirectory()
  const layers = image(base).slice(0, 1)
  const store = openLayerStore(join(base, 'layers'))
  const events: LayerEvent[] = []
  const remove = () => Promise.reject(new Error('not mine'))
  const failing = () => Promise.reject(new Error('worker died'))
  const onEvent = (event: LayerEvent) => void events.push(event)
  await expect(
    store.ensure(layers, { ...options, apply: failing, remove, onEvent }),
  ).rejects.toThrow('worker died')
  expect(events).toContainEqual({ type: 'leftover', path: expect.any(String), reason: 'not mine' })
  await store.ensure(layers, options)
  expect(readdirSync(store.directory)).toHaveLength(1)
})
