import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { digestOf } from '../image/digest.ts'
import { type BlobSource, bytesSource, createBlobSource, fileSource } from './blob-source.ts'

const bytes = Buffer.from('0123456789')
const digest = digestOf(bytes)
let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cromwell-source-'))
})

afterEach(async () => {
  await rm(directory, { recursive: true, force: true })
})

describe('a blob source', () => {
  it('gives the same bytes again, from any offset', async () => {
    const path = join(directory, 'blob')
    await writeFile(path, bytes)
    const made = createBlobSource(async function* (offset) {
      yield bytes.subarray(offset)
    })
    for (const source of [bytesSource(bytes), await fileSource(path), await made]) {
      expect(source.descriptor).toEqual({ mediaType: 'application/octet-stream', digest, size: 10 })
      for (const offset of [0, 4, 9, 10, 0]) {
        expect(await textFrom(source, offset)).toBe('0123456789'.slice(offset))
      }
    }
  })

  it('is taken at its word about digest and size', async () => {
    let opened = 0
    const open: BlobSource['open'] = async function* () {
      opened += 1
      yield bytes
    }
    const known = { mediaType: 'text/plain', digest, size: 10, annotations: { a: 'b' } }
    expect((await createBlobSource(open, known)).descriptor).toEqual(known)
    expect(opened).toBe(0)
    const { descriptor } = await createBlobSource(open, { algorithm: 'sha512' })
    expect(descriptor.digest).toBe(digestOf(bytes, 'sha512'))
  })

  it('says which file cannot be read', async () => {
    const path = join(directory, 'missing')
    await expect(fileSource(path)).rejects.toMatchObject({
      code: 'ERR_REGISTRY_SOURCE_UNREADABLE',
      message: expect.stringContaining(path),
      path,
    })
  })
})

async function textFrom(source: BlobSource, offset: number): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of source.open(offset)) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
