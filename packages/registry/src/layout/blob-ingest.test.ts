import {
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { digestOf } from '../image/digest.ts'
import { BlobIngest, type IngestPaths } from './blob-ingest.ts'

const content = Buffer.from('0123456789'.repeat(200_000))
const expected = { digest: digestOf(content), size: content.length }
let root: string
let paths: IngestPaths

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'cromwell-ingest-'))
  paths = { partial: join(root, 'partial', 'p'), final: join(root, 'blobs', 'sha256', 'f') }
})

afterEach(async () => {
  await rm(root, { recursive: true, force: true })
})

describe('BlobIngest', () => {
  it('names the blob only once it is proven, for its owner only', async () => {
    const ingest = await begin()
    await ingest.write(content.subarray(0, 1_000_000))
    await ingest.write(content.subarray(1_000_000))
    expect(await readdir(join(root, 'blobs', 'sha256'))).toEqual([])
    await ingest.commit()
    await ingest.close()
    await ingest.close()
    expect(content.equals(await readFile(paths.final))).toBe(true)
    expect(await readdir(join(root, 'partial'))).toEqual([])
    expect((await stat(paths.final)).mode & 0o777).toBe(0o600)
    expect((await stat(join(root, 'blobs'))).mode & 0o777).toBe(0o700)
  })

  it('goes on where an earlier one stopped, wherever that was', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(content.length), { maxLength: 5 }), async (stops) => {
        for (const stop of stops.sort((a, b) => a - b)) {
          const ingest = await begin()
          await ingest.write(content.subarray(ingest.offset, stop))
          await ingest.close()
        }
        const last = await begin()
        expect(last.offset).toBe(stops.at(-1) ?? 0)
        await last.write(content.subarray(last.offset))
        await last.commit()
        await last.close()
        expect(content.equals(await readFile(paths.final))).toBe(true)
        await rm(paths.final)
      }),
      { numRuns: 15 },
    )
  })

  it('finds that damaged leftovers do not add up, and keeps nothing of them after a restart', async () => {
    const first = await begin()
    await first.write(content.subarray(0, 600_000))
    await first.close()
    await writeFile(paths.partial, Buffer.alloc(600_000, 'x'))
    const second = await begin()
    expect(second.offset).toBe(600_000)
    await second.write(content.subarray(600_000))
    await expect(second.commit()).rejects.toMatchObject({ code: 'ERR_REGISTRY_DIGEST_MISMATCH' })
    await second.restart()
    expect(second.offset).toBe(0)
    await second.write(content)
    await second.commit()
    await second.close()
    expect(content.equals(await readFile(paths.final))).toBe(true)
  })

  it('begins anew if there is more than there can be', async () => {
    const first = await begin()
    await first.close()
    await truncate(paths.partial, content.length + 1)
    const second = await begin()
    expect(second.offset).toBe(0)
    await second.close()
  })

  it('refuses too many bytes at once and too few at the end', async () => {
    const ingest = await begin()
    await expect(ingest.commit()).rejects.toMatchObject({ code: 'ERR_REGISTRY_SIZE_MISMATCH' })
    await ingest.write(content)
    await expect(ingest.write(Buffer.from('!'))).rejects.toMatchObject({
      code: 'ERR_REGISTRY_SIZE_MISMATCH',
    })
    await ingest.close()
    expect(await readdir(join(root, 'blobs', 'sha256'))).toEqual([])
  })

  it('waits for another one of the same blob, and finds it done', async () => {
    const first = await begin()
    const second = BlobIngest.open(paths, expected)
    await first.write(content)
    await first.commit()
    await first.close()
    expect(await second).toBeUndefined()
  })

  it('does not follow a link that somebody put in its place', async () => {
    await (await begin()).close()
    await rm(paths.partial)
    await symlink(join(root, 'elsewhere'), paths.partial)
    await expect(begin()).rejects.toMatchObject({
      code: 'ERR_REGISTRY_LAYOUT',
      path: paths.partial,
    })
    expect(await readdir(root)).not.toContain('elsewhere')
  })
})

async function begin(): Promise<BlobIngest> {
  const ingest = await BlobIngest.open(paths, expected)
  if (ingest === undefined) throw new Error('the blob is there already')
  return ingest
}
