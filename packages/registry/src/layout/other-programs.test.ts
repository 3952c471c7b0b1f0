import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { requiresProgram } from '@cromwell/test-support'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseReference } from '../image/reference.ts'
import { imageOf, partsOf, putAll, topOf } from '../store/content.test.fixture.ts'
import { layoutStore } from '../store/layout-store.ts'
import { makeIndex } from '../testing/index.ts'
import { openImageLayout } from './image-layout.ts'

const run = promisify(execFile)
let directory: string
const children: ChildProcess[] = []

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cromwell-layout-'))
})

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGKILL')
    await once(child, 'close')
  }
  await rm(directory, { recursive: true, force: true })
})

describe('a layout beside other programs', () => {
  it('is read by skopeo at every moment, while names come and go and garbage is collected', async (context) => {
    const skopeo = requiresProgram(context, 'skopeo')
    const layout = openImageLayout(directory)
    const store = layoutStore(layout)
    const [stays, goes] = [imageOf('stays'), imageOf('goes')]
    await putAll(store, stays, 'stays:1')
    let running = true
    const writing = (async () => {
      for (let i = 0; running; i++) {
        await putAll(store, goes, `goes:${i % 3}`)
        await layout.tag(parseReference('stays:1'), topOf(stays))
        await layout.untag(parseReference(`goes:${i % 3}`))
        await layout.gc({ graceMs: 0 })
      }
    })()
    try {
      for (let i = 0; i < 12; i++) {
        const { stdout } = await run(skopeo, ['inspect', `oci:${directory}:stays:1`])
        expect(JSON.parse(stdout).Digest).toBe(topOf(stays).digest)
      }
      await run(skopeo, ['copy', '-q', `oci:${directory}:stays:1`, `dir:${directory}/copy`])
    } finally {
      running = false
    }
    await writing
  }, 120_000)

  it('gives skopeo all platforms of an index', async (context) => {
    const skopeo = requiresProgram(context, 'skopeo')
    const layout = openImageLayout(directory)
    const index = makeIndex([imageOf('a'), imageOf('b', 'arm64')])
    await putAll(layoutStore(layout), index, 'multi:1')
    const copied = join(directory, 'copied')
    await run(skopeo, ['copy', '-q', '--all', `oci:${directory}:multi:1`, `oci:${copied}:multi:1`])
    const copy = openImageLayout(copied)
    const found = await layoutStore(copy).resolve('multi:1')
    expect(found).toMatchObject(index.index.descriptor)
    for (const { descriptor } of partsOf(index)) expect(await copy.has(descriptor)).toBe(true)
  })

  it('is whole after kill -9 at any moment of putting, naming and collecting', async (context) => {
    const skopeo = requiresProgram(context, 'skopeo')
    const layout = openImageLayout(directory)
    const store = layoutStore(layout)
    const [stays, goes] = [imageOf('stays'), imageOf('goes')]
    await putAll(store, stays, 'stays:1')
    const built = (path: string) => new URL(`../../dist/${path}`, import.meta.url).href
    const parts = partsOf(goes).map(({ descriptor, bytes }) => [
      descriptor,
      bytes.toString('base64'),
    ])
    const script = `
      import { openImageLayout } from '${built('layout/image-layout.js')}'
      import { parseReference } from '${built('image/reference.js')}'
      const layout = openImageLayout(${JSON.stringify(directory)})
      const parts = ${JSON.stringify(parts)}
      console.log('begun')
      for (let i = 0; ; i++) {
        const lease = await layout.lease()
        for (const [descriptor, base64] of parts) {
          await lease.protect([descriptor])
          await layout.write(descriptor, Buffer.from(base64, 'base64'))
        }
        await layout.tag(parseReference('goes:' + (i % 5)), parts.at(-1)[0])
        await lease.release()
        await layout.remove(parseReference('goes:' + ((i + 2) % 5)))
        await layout.gc({ graceMs: 0 })
      }`
    for (let round = 0; round < 12; round++) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      children.push(child)
      await once(child.stdout ?? child, 'data')
      await new Promise((resolve) => setTimeout(resolve, (round * 37) % 101))
      child.kill('SIGKILL')
      await once(child, 'close')
      JSON.parse(await readFile(join(directory, 'index.json'), 'utf8'))
      expect((await layout.verify()).problems).toEqual([])
    }
    const { stdout } = await run(skopeo, ['inspect', `oci:${directory}:stays:1`])
    expect(JSON.parse(stdout).Digest).toBe(topOf(stays).digest)
    await putAll(store, goes, 'goes:1')
    for (const { name, reference } of await layout.list()) {
      if (name !== 'stays:1') await layout.remove(reference)
    }
    await layout.gc({ graceMs: 0 })
    expect((await layout.list()).map(({ name }) => name)).toEqual(['stays:1'])
    expect((await layout.verify()).blobs).toBe(partsOf(stays).length)
  }, 120_000)
})
