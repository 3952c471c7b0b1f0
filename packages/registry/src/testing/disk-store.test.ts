import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { digestOf } from '../image/digest.ts'
import { binary, RepositoryApi } from './conformance.test.fixture.ts'
import { createTestRegistry, makeImage, makeLayer } from './index.ts'

const layers = [makeLayer({ a: 'a' }), makeLayer({ b: 'b' })]
const image = makeImage({ layers })
let data: string

beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'cromwell-test-registry-'))
})

afterEach(async () => {
  await rm(data, { recursive: true, force: true })
})

describe('a test registry with a directory', () => {
  it('has after its end all that it had before', async () => {
    const bytes = randomBytes(1000)
    {
      await using registry = await createTestRegistry({ data })
      const api = new RepositoryApi(registry.origin, 'team/app')
      registry.addImage('team/app:1', image)
      await api.pushManifest('2')
      await api.pushManifest('3')
      await api.pushBlob(bytes)
      await api.pushBlob(bytes, 'sha512')
      await api.ask('DELETE', 'manifests/2')
      await api.ask('DELETE', `blobs/${layers[0]?.digest}`)
    }
    await using registry = await createTestRegistry({ data })
    expect(registry.tags('team/app')).toEqual(['1', '3'])
    expect(registry.manifest('team/app', '1')).toEqual(image.manifest)
    for (const digest of [digestOf(bytes), digestOf(bytes, 'sha512')]) {
      expect((await registry.blob('team/app', digest))?.equals(bytes)).toBe(true)
    }
    const [gone, kept] = layers.map(({ digest }) => registry.blob('team/app', digest))
    expect([await gone, (await kept)?.equals(layers[1]?.blob ?? bytes)]).toEqual([undefined, true])
  })

  it('removes the bytes of what no repository has any more', async () => {
    await using registry = await createTestRegistry({ data })
    const app = new RepositoryApi(registry.origin, 'app')
    const other = app.sibling('other')
    const { digest } = await app.pushManifest('1')
    const blob = await app.pushBlob(randomBytes(10))
    await other.ask('POST', `blobs/uploads/?mount=${blob}&from=app`)
    const held = async () => new Set(await readdir(join(data, 'blobs', 'sha256')))
    const hex = (text: string) => text.replace('sha256:', '')
    await app.ask('DELETE', `blobs/${blob}`)
    await app.ask('DELETE', `manifests/${digest}`)
    expect([(await held()).has(hex(blob)), (await held()).has(hex(digest))]).toEqual([true, false])
    await other.ask('DELETE', `blobs/${blob}`)
    expect((await held()).has(hex(blob))).toBe(false)
  })

  it('throws away what was half done when it was killed', async () => {
    {
      await using registry = await createTestRegistry({ data })
      const api = new RepositoryApi(registry.origin, 'app')
      await api.ask('PATCH', await api.beginUpload(), binary(randomBytes(10), 0))
      expect(await readdir(join(data, 'uploads'))).toHaveLength(1)
    }
    expect(await readdir(join(data, 'uploads'))).toEqual([])
    await writeFile(join(data, 'uploads', 'left'), 'x')
    await writeFile(join(data, 'blobs', 'sha256', `${'0'.repeat(64)}.part`), 'x')
    await using _registry = await createTestRegistry({ data })
    expect(await readdir(join(data, 'uploads'))).toEqual([])
    expect(await readdir(join(data, 'blobs', 'sha256'))).toEqual([])
  })

  it('lets no bytes become a blob that are not what their digest says', async () => {
    await using registry = await createTestRegistry({ data })
    const api = new RepositoryApi(registry.origin, 'app')
    const digest = digestOf(randomBytes(10))
    const location = await api.beginUpload()
    const put = await api.ask('PUT', `${location}&digest=${digest}`, binary(randomBytes(10)))
    expect(put.status).toBe(400)
    expect(await readdir(join(data, 'blobs', 'sha256'))).toEqual([])
    expect(await readdir(join(data, 'uploads'))).toEqual([])
  })
})
